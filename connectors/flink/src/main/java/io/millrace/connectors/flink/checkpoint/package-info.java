/**
 * Publishing of checkpoints in two phases: a job stages files, a completed Flink checkpoint makes
 * them visible and announces them in Kafka.
 */
package io.millrace.connectors.flink.checkpoint;
