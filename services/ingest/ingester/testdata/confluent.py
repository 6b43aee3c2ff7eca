"""Writes rows through the JSON Schema serializer of Confluent's own client, which registers its schemas at the URL of the
first argument. A line is a row: key and value as the serializer writes them, key and value as plain JSON, each in base64."""

import base64
import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "shop.catalog.things"
registry = SchemaRegistryClient({"url": sys.argv[1]})

shop = {"title": "Shop", "type": "object", "properties": {"name": {"type": "string"}, "open": {"type": "boolean"}}}
registry.register_schema("shop", Schema(json.dumps(shop), "JSON"))

key = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Key", "type": "object", "properties": {"id": {"type": "integer"}}}
value = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Thing",
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "a_text": {"type": "string"},
        "a_double": {"type": ["number", "null"]},
        "a_boolean": {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
        "a_zoned": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "a_json": {"type": "object", "properties": {"colour": {"type": "string"}}},
        "shop": {"$ref": "shop.json"},
    },
    "required": ["id"],
}
rows = [
    {"id": 9007199254740993, "a_text": 'Becher "\\\n 类目 🎉', "a_double": -1.5e-7, "a_boolean": True, "a_zoned": "2026-11-24T10:00:00.5+01:00",
     "tags": ["a", "", "ü"], "a_json": {"colour": "red"}, "shop": {"name": "North", "open": False}},
    {"id": 2, "a_text": "", "a_double": None, "a_boolean": None, "tags": []},
    {"id": 3},
]

references = [SchemaReference("shop.json", "shop", 1)]
serializers = [JSONSerializer(json.dumps(key), registry), JSONSerializer(Schema(json.dumps(value), "JSON", references), registry)]
fields = [MessageField.KEY, MessageField.VALUE]
for row in rows:
    pair = [{"id": row["id"]}, row]
    wire = [s(part, SerializationContext(TOPIC, field)) for s, part, field in zip(serializers, pair, fields)]
    plain = [json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode() for part in pair]
    print("\t".join(base64.b64encode(b).decode() for b in wire + plain))
