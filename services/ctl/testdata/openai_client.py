"""Asks the server at argv[1], with the key argv[2], as applications do with OpenAI's own client."""

import json
import sys

import openai

url, key, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        assert error.code == code, error
        return
    raise AssertionError(f"it does not answer with {kind.__name__}")


def create(input, model="use-lite", **more):
    return client.embeddings.create(model=model, input=input, **more)


packed = create(texts)  # the client asks for base64 where nothing is said
floats = create(texts, encoding_format="float")
assert [d.index for d in packed.data] == list(range(len(texts))), packed.data
assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0, packed.usage
assert create("one text").data[0].embedding, "no vector of a text alone"
assert len(create(["茶"] * 2048).data) == 2048

assert [m.id for m in client.models.list()] == ["use-lite"]
assert client.models.retrieve("use-lite").owned_by == "freshet"

refused(openai.NotFoundError, "model_not_found", lambda: create(texts, model="text-embedding-3-large"))
refused(openai.BadRequestError, None, lambda: create([""]))
refused(openai.BadRequestError, None, lambda: create(["茶"] * 2049))
refused(openai.BadRequestError, None, lambda: create([[1, 2, 3]]))
refused(openai.AuthenticationError, "invalid_api_key", lambda: client.with_options(api_key="wrong").models.list())

json.dump({"base64": [d.embedding for d in packed.data], "float": [d.embedding for d in floats.data]}, sys.stdout)
