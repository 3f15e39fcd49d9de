package io.millrace.connectors.flink;

/**
 * A Kafka record as it came, before anything looks into it.
 *
 * @param topic the topic's full name
 * @param timestamp the record's time in milliseconds since 1970
 * @param key the raw key, or null
 * @param value the raw value, or null
 */
public record Received(
    String topic, int partition, long offset, long timestamp, byte[] key, byte[] value) {}
