"""Prints records that kcat has read, as JSON, one a line.

    kcat -C -b localhost:9092 -t millrace.rollouts -e -q -f '%R%s' | python3 decode.py SCHEMAS rollouts

In kcat's format, %R is the length of the value in 4 bytes, big-endian, and %s the value.
"""

import base64
import json
import struct
import sys

import single_object


def to_json(value):
    """Times as ISO 8601, bytes as Base64, as `millrace consume` prints them."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.isoformat()


directory, topic = sys.argv[1:]
schemas = single_object.Schemas(directory)
while True:
    prefix = sys.stdin.buffer.read(4)
    if not prefix:
        break
    (length,) = struct.unpack(">i", prefix)
    value = sys.stdin.buffer.read(length) if length >= 0 else None
    try:
        print(json.dumps(schemas.decode(topic, value), default=to_json, ensure_ascii=False))
    except ValueError as e:
        print(e, file=sys.stderr)
