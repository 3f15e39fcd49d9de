package io.millrace.schemas.state;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A state of one moment, in the bytes of {@link StateWriter}, whose last {@linkplain LargeValue
 * large values} are written after that moment. Records are taken at once, and the last values are
 * copied as far as a budget allows. Everything before the first copy is written at once.
 */
public final class StateSnapshot implements AutoCloseable {

  private final DataOutputStream out;
  private final List<LargeValue> values = new ArrayList<>();

  /** The records after each value. */
  private final List<ByteArrayOutputStream> records = new ArrayList<>();

  /** Copies of the values from {@link #written} on. */
  private final List<LargeValue.Copy> copies = new ArrayList<>();

  /** Values that are written so far. */
  private int written;

  private StateSnapshot(DataOutputStream out) {
    this.out = out;
  }

  /**
   * Takes a state. The caller lets it change afterwards, and calls {@link #finish}.
   *
   * @param out the part before the first copy is written to it now
   */
  public static StateSnapshot take(
      DataOutputStream out, StateWriter.Source source, CopyBudget budget) throws IOException {
    StateSnapshot snapshot = new StateSnapshot(out);
    try {
      source.write(new StateWriter(out, snapshot));
      snapshot.copyLast(budget);
      snapshot.writeOriginals();
      return snapshot;
    } catch (IOException | RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  /** Adds a value; what follows it goes to the result. */
  DataOutputStream add(LargeValue value) {
    values.add(value);
    records.add(new ByteArrayOutputStream());
    return new DataOutputStream(records.getLast());
  }

  private void copyLast(CopyBudget budget) {
    for (int i = values.size() - 1; i >= 0; i--) {
      Optional<LargeValue.Copy> copy = values.get(i).copy(budget);
      if (copy.isEmpty()) {
        return;
      }
      copies.addFirst(copy.get());
    }
  }

  private void writeOriginals() throws IOException {
    int originals = values.size() - copies.size();
    for (; written < originals; written++) {
      values.get(written).write(out);
      records.get(written).writeTo(out);
    }
  }

  /** Large values of the state. */
  public int values() {
    return values.size();
  }

  /** Large values that {@link #finish} is going to write. */
  public int copied() {
    return copies.size();
  }

  /** Writes the copied values and the records after them. */
  public void finish() throws IOException {
    for (; !copies.isEmpty(); written++) {
      try (LargeValue.Copy copy = copies.removeFirst()) {
        copy.write(out);
      }
      records.get(written).writeTo(out);
    }
  }

  /** Frees the copies that are not written. */
  @Override
  public void close() {
    copies.forEach(LargeValue.Copy::close);
    copies.clear();
  }
}
