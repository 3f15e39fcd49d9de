package io.millrace.model.tensor;

/**
 * Keys and values of the tokens already seen, in slots of equal capacity, one slot a sequence. A
 * backend makes it and keeps it in a layout of its own.
 */
public interface KvCache extends AutoCloseable {

  /** Sequences that fit. */
  int slots();

  /** Tokens that fit in a slot. */
  int capacity();

  @Override
  void close();
}
