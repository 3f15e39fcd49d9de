/**
 * Access to a Kafka cluster without Flink: topic administration, reading and writing of records.
 */
package io.millrace.connectors.kafka;
