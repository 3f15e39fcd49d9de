"""Sends a prompt and a judgment to Millrace, and waits until Kafka has them.

    python3 send.py localhost:9092 SCHEMAS

SCHEMAS is the directory that `millrace schemas --out SCHEMAS` wrote.
Needs avro and confluent-kafka (Debian: python3-avro, python3-confluent-kafka).
"""

import datetime
import sys

import confluent_kafka

import single_object

servers, directory = sys.argv[1:]
schemas = single_object.Schemas(directory)
now = datetime.datetime.now(datetime.timezone.utc)

# Avro for Python writes no defaults: every field needs a value.
prompt = {
    "promptId": "python-1",  # the identity: a prompt that is sent twice is used once
    "dialogue": [{"role": "USER", "content": "Wie heißt die Hauptstadt von Frankreich?"}],
    "isSafety": False,
    "source": "docs",
    "time": now,
}
judgment = {
    "judgmentId": "python-1-annotator-7",
    "objective": "HELPFULNESS",
    "dialogue": prompt["dialogue"],
    "responseA": {"text": "Paris.", "rolloutId": None, "policyVersion": None, "unsafe": False},
    "responseB": {"text": "Frag etwas anderes.", "rolloutId": None, "policyVersion": None, "unsafe": None},
    "preferred": "A",
    "rating": "SIGNIFICANTLY_BETTER",
    "annotator": "annotator-7",
    "source": "docs",
    "time": now,
}

failures = []
producer = confluent_kafka.Producer({"bootstrap.servers": servers, "enable.idempotence": True})


def send(topic, key, record):
    producer.produce(
        "millrace." + topic,
        key=key.encode("utf-8"),
        value=schemas.encode(topic, record),
        on_delivery=lambda error, _: failures.append(error) if error else None,
    )


send("prompts", prompt["promptId"], prompt)
send("judgments", judgment["judgmentId"], judgment)
missing = producer.flush(30)
if failures or missing:
    sys.exit("not sent: %s, %d without an answer" % (failures, missing))
print("sent prompt", prompt["promptId"], "and judgment", judgment["judgmentId"])
