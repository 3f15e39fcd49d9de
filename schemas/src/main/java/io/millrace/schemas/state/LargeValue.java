package io.millrace.schemas.state;

import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Optional;

/** A part of a state that is too large for a record, such as a tensor. */
public interface LargeValue {

  /** Writes the value as it is now. */
  void write(DataOutputStream out) throws IOException;

  /**
   * Copies the value, for another thread to write while the original changes.
   *
   * @return empty if there is no memory for it, or the value cannot be copied; the caller closes
   *     the copy
   */
  default Optional<Copy> copy(CopyBudget budget) {
    return Optional.empty();
  }

  /** A copy of a value. */
  interface Copy extends AutoCloseable {

    /** Writes what {@link LargeValue#write} would have written when the copy was made. */
    void write(DataOutputStream out) throws IOException;

    @Override
    void close();
  }
}
