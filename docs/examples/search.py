"""Search the index from Python: pip install weaviate-client openai"""

import os
import sys
from urllib.parse import urlsplit

import openai
import weaviate
from weaviate.classes.init import Auth
from weaviate.classes.query import Filter, MetadataQuery

# Model and server of the pipeline file's space: vectors of another one are not near anything.
embeddings = openai.OpenAI(base_url=os.environ["FRESHET_OPENAI_URL"], api_key=os.environ["FRESHET_OPENAI_KEY"])
query = embeddings.embeddings.create(model=os.environ["MODEL"], input=[sys.argv[1]]).data[0].embedding

http, grpc = urlsplit(os.environ["FRESHET_WEAVIATE_URL"]), urlsplit("//" + os.environ["FRESHET_WEAVIATE_GRPC"])
with weaviate.connect_to_custom(
    http_host=http.hostname, http_port=http.port, http_secure=http.scheme == "https",
    grpc_host=grpc.hostname, grpc_port=grpc.port, grpc_secure=http.scheme == "https",
    auth_credentials=Auth.api_key(os.environ["FRESHET_WEAVIATE_API_KEY"]),
) as client:
    products = client.collections.get("Product")  # the alias, never Product_g1: a rebuild moves it
    answer = products.query.near_vector(
        query, limit=3,
        filters=Filter.by_property("price").less_than(100),
        return_properties=["name", "price"], return_metadata=MetadataQuery(distance=True),
    )
    for item in answer.objects:
        print(f"{item.metadata.distance:.3f}  {item.properties['name']}  {item.properties['price']}")
