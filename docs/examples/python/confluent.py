"""Records of Millrace as bytes: the framing of Confluent's serializers.

    byte 0      00
    bytes 1-4   id of the writer's schema in a schema registry, big-endian
    bytes 5-    the record in Avro's binary encoding

AvroSerializer of confluent-kafka writes the same bytes. This file needs only the package avro (Debian: python3-avro).
"""

import base64
import io
import json
import os
import struct
import urllib.parse
import urllib.request

import avro.io
import avro.schema

HEADER = struct.Struct(">bi")  # ">": big-endian; 1 byte, then a signed 32-bit number


class Registry:
    """A schema registry. REGISTRY_USER_INFO=user:password in the environment are its credentials."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.schemas = {}  # id -> schema; a registered schema never changes

    def call(self, path, body=None):
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        user_info = os.environ.get("REGISTRY_USER_INFO")
        if user_info:
            headers["Authorization"] = "Basic " + base64.b64encode(user_info.encode("utf-8")).decode()
        data = None if body is None else json.dumps(body).encode("utf-8")
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=30) as answer:
            return json.load(answer)

    def register(self, kafka_topic, schema):
        """The id of a schema, which is registered under the topic's name if it is not there yet."""
        subject = urllib.parse.quote(kafka_topic + "-value", safe="")
        return self.call("/subjects/%s/versions" % subject, {"schema": schema})["id"]

    def schema(self, schema_id):
        if schema_id not in self.schemas:
            self.schemas[schema_id] = avro.schema.parse(self.call("/schemas/ids/%d" % schema_id)["schema"])
        return self.schemas[schema_id]

    def encode(self, schema_id, record):
        """A record, a dict with a value for every field, as the value of a Kafka message."""
        body = io.BytesIO()
        avro.io.DatumWriter(self.schema(schema_id)).write(record, avro.io.BinaryEncoder(body))
        return HEADER.pack(0, schema_id) + body.getvalue()

    def decode(self, value):
        """The value of a Kafka message as a dict with the fields of its writer's schema."""
        if value is None or len(value) < HEADER.size or value[0] != 0:
            raise ValueError("no record in Confluent's framing")
        _, schema_id = HEADER.unpack_from(value)
        return avro.io.DatumReader(self.schema(schema_id)).read(avro.io.BinaryDecoder(io.BytesIO(value[HEADER.size:])))
