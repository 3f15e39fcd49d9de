package io.millrace.connectors.kafka;

/** A Kafka record as it was received, not yet decoded. A POJO in Flink's sense. */
public final class Received {

  public String topic;
  public int partition;
  public long offset;
  public byte[] key;
  public byte[] value;

  /** For Flink's serializer. */
  public Received() {}

  Received(String topic, int partition, long offset, byte[] key, byte[] value) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.key = key;
    this.value = value;
  }
}
