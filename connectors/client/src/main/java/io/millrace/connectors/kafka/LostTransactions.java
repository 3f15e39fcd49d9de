package io.millrace.connectors.kafka;

/**
 * What a job does when Kafka no longer has a transaction that the job's state counts as written.
 */
public enum LostTransactions {
  /** It fails without a restart, and says how to go on. */
  STOP,
  /** It counts and logs the loss, and goes on. */
  ACCEPT
}
