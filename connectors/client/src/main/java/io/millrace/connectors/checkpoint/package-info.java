/**
 * The announcements of checkpoints in Kafka, without Flink. A serving process follows a policy with
 * {@link io.millrace.connectors.checkpoint.PolicyCheckpoints}.
 */
package io.millrace.connectors.checkpoint;
