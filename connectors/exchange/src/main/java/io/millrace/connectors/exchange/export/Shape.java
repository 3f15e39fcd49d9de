package io.millrace.connectors.exchange.export;

/** The form of an exported file. */
public enum Shape {
  /** Every field of the record, as {@code consume} prints it and {@code produce} reads it. */
  JSONL,
  /** The columns of TRL, and more columns beside them for what TRL does not know. */
  TRL
}
