/** Flink sinks that write Kafka topics. */
package io.millrace.connectors.flink.sink;
