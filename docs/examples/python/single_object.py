"""Records of Millrace as bytes: Avro single-object encoding.

    bytes 0-1   C3 01
    bytes 2-9   fingerprint of the writer's schema, CRC-64-AVRO, little-endian
    bytes 10-   the record in Avro's binary encoding

Needs the package avro (Debian: python3-avro) and the directory that `millrace schemas --out DIR` wrote.
"""

import io
import json
import struct
from pathlib import Path

import avro.io
import avro.schema

HEADER = struct.Struct("<2sQ")  # "<": little-endian; 2 bytes, then an unsigned 64-bit number
MAGIC = b"\xc3\x01"


class Schemas:
    """The schemas of all topics, by topic and by fingerprint."""

    def __init__(self, directory):
        self.by_topic = {}  # topic -> (fingerprint, schema) that this release writes
        self.by_fingerprint = {}  # fingerprint -> schema, those of earlier releases too
        try:
            index = json.loads(Path(directory, "index.json").read_text("utf-8"))
        except FileNotFoundError as e:
            raise SystemExit("%s has no schemas; make them with: ./millrace schemas --out %s" % (directory, directory)) from e
        for topic in index["topics"]:
            for entry in [topic] + topic["earlier"]:
                schema = avro.schema.parse(Path(directory, entry["file"]).read_text("utf-8"))
                fingerprint = int(entry["fingerprint"], 16)
                self.by_fingerprint[fingerprint] = schema
                if entry is topic:
                    self.by_topic[topic["topic"]] = (fingerprint, schema)

    def encode(self, topic, record):
        """A record, a dict with a value for every field, as the value of a Kafka message."""
        fingerprint, schema = self.by_topic[topic]
        body = io.BytesIO()
        avro.io.DatumWriter(schema).write(record, avro.io.BinaryEncoder(body))
        return HEADER.pack(MAGIC, fingerprint) + body.getvalue()

    def decode(self, topic, value):
        """The value of a Kafka message as a dict with the fields of the topic's present schema."""
        if value is None or len(value) < HEADER.size:
            raise ValueError("no record: the value is shorter than its header")
        magic, fingerprint = HEADER.unpack_from(value)
        if magic != MAGIC:
            raise ValueError("no record: it begins with %s, not c301" % magic.hex())
        if fingerprint not in self.by_fingerprint:
            raise ValueError("no schema has fingerprint %016x; run `millrace schemas` of the release that wrote the record" % fingerprint)
        reader = avro.io.DatumReader(self.by_fingerprint[fingerprint], self.by_topic[topic][1])
        return reader.read(avro.io.BinaryDecoder(io.BytesIO(value[HEADER.size:])))
