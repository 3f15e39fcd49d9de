/**
 * Data parallel training: several ranks hold the same model, take a share of each mini-batch, and
 * exchange sums over sockets. Knows nothing of Kafka or Flink.
 */
package io.millrace.model.parallel;
