/** Topics and records of a Kafka cluster without Flink: administration, writing, reading. */
package io.millrace.connectors.kafka;
