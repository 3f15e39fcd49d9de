"""Sends a judgment to Millrace in Confluent's framing, and waits until Kafka has it.

    python3 send_confluent.py localhost:9092 http://localhost:8081 SCHEMAS

SCHEMAS is the directory that `millrace schemas --out SCHEMAS` wrote.
Needs avro and confluent-kafka (Debian: python3-avro, python3-confluent-kafka).
"""

import datetime
import sys
from pathlib import Path

import confluent_kafka

import confluent

servers, url, directory = sys.argv[1:]
topic = "millrace.judgments"
registry = confluent.Registry(url)
schema_id = registry.register(topic, Path(directory, "judgments.avsc").read_text("utf-8"))
judgment = {
    "judgmentId": "python-confluent-1",  # the identity: a judgment that is sent twice is used once
    "objective": "HELPFULNESS",
    "dialogue": [{"role": "USER", "content": "What is the capital of France?"}],
    "responseA": {"text": "Paris.", "rolloutId": None, "policyVersion": None, "unsafe": False, "truncated": None},
    "responseB": {"text": "Ask me something else.", "rolloutId": None, "policyVersion": None, "unsafe": None, "truncated": None},
    "preferred": "A",
    "rating": "SIGNIFICANTLY_BETTER",
    "annotator": "annotator-7",
    "source": "docs",
    "time": datetime.datetime.now(datetime.timezone.utc),
    "revision": None,
}
failures = []
producer = confluent_kafka.Producer({"bootstrap.servers": servers, "enable.idempotence": True})
producer.produce(
    topic,
    key=judgment["judgmentId"].encode("utf-8"),
    value=registry.encode(schema_id, judgment),
    on_delivery=lambda error, _: failures.append(error) if error else None,
)
missing = producer.flush(30)
if failures or missing:
    sys.exit("not sent: %s, %d without an answer" % (failures, missing))
print("sent judgment %s with schema id %d" % (judgment["judgmentId"], schema_id))
