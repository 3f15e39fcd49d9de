/** Kafka as sources and sinks of Flink jobs; records that cannot be used become dead letters. */
package io.millrace.connectors.flink;
