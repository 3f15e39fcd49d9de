/**
 * Millrace as processes: Kafka, ZooKeeper, a Flink JobManager and TaskManagers, each a JVM of its
 * own, started from the jars that were built and started again when they die; and the client that
 * gives them jobs.
 */
package io.millrace.jobs.cluster;
