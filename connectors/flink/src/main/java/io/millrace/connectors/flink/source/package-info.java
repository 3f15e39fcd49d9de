/** Flink sources of undecoded records: Kafka topics and files of lines. */
package io.millrace.connectors.flink.source;
