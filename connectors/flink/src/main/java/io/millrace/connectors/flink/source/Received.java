package io.millrace.connectors.flink.source;

/**
 * A record as it was received, before it is decoded.
 *
 * @param topic the topic's full name, or the path of a file
 * @param partition the partition, or the pass over a file
 * @param offset the offset, or the line number in a file
 * @param timestamp the record's time in milliseconds since 1970
 * @param key the raw key, or null
 * @param value the raw value, or null
 */
public record Received(
    String topic, int partition, long offset, long timestamp, byte[] key, byte[] value) {}
