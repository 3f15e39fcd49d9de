"""Prints the records of a topic as JSON, one a line, from its first record to its present end.

    python3 read.py localhost:9092 SCHEMAS rollouts
    python3 read.py localhost:9092 SCHEMAS policy-checkpoints

SCHEMAS is the directory that `millrace schemas --out SCHEMAS` wrote.
Needs avro and confluent-kafka (Debian: python3-avro, python3-confluent-kafka).
"""

import base64
import json
import sys

import confluent_kafka

import single_object


def to_json(value):
    """Times as ISO 8601, bytes as Base64, as `millrace consume` prints them."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.isoformat()


servers, directory, topic = sys.argv[1:]
schemas = single_object.Schemas(directory)
name = "millrace." + topic
consumer = confluent_kafka.Consumer(
    {
        "bootstrap.servers": servers,
        "group.id": "millrace-docs-read",  # librdkafka needs one; nothing is committed to it
        "enable.auto.commit": False,
        "isolation.level": "read_committed",  # no records of open or aborted transactions
        "enable.partition.eof": True,  # an event at the present end of each partition
    }
)
metadata = consumer.list_topics(name, timeout=30).topics[name]
if metadata.error:
    sys.exit("%s: %s" % (name, metadata.error))
partitions = set(metadata.partitions)
consumer.assign([confluent_kafka.TopicPartition(name, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
while partitions:
    message = consumer.poll(30)
    if message is None:
        sys.exit("no answer from Kafka within 30 s")
    if message.error():
        if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
            sys.exit(str(message.error()))
        partitions.remove(message.partition())
        continue
    try:
        record = schemas.decode(topic, message.value())
        print(json.dumps(record, default=to_json, ensure_ascii=False), flush=True)
    except ValueError as e:
        print("partition %d, offset %d: %s" % (message.partition(), message.offset(), e), file=sys.stderr)
consumer.close()
