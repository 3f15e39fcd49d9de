"""Writes one record as the bytes of a Kafka value, for tools such as kcat.

    echo '{"promptId": "p1", …}' | python3 encode.py SCHEMAS prompts > p1.bin

The JSON has every field; `time` is in milliseconds since 1970.
"""

import datetime
import json
import sys

import single_object

directory, topic = sys.argv[1:]
record = json.load(sys.stdin)
epoch = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
record["time"] = epoch + datetime.timedelta(milliseconds=record["time"])
sys.stdout.buffer.write(single_object.Schemas(directory).encode(topic, record))
