/** Kafka, ZooKeeper and Flink as a supervised set of processes on one machine. */
package io.millrace.cluster;
