/** Kafka's edges: topics, sources, sinks, dead letters, and plain clients for the command line. */
package io.millrace.connectors.kafka;
