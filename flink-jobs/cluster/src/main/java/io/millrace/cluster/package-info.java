/** A cluster on one machine: Kafka, ZooKeeper and Flink as supervised processes. */
package io.millrace.cluster;
