package io.millrace.connectors.exchange.file;

import java.io.IOException;
import java.util.Optional;

/** The rows of one file, in order. For one thread. */
public interface Rows extends AutoCloseable {

  /**
   * The next row; empty at the end.
   *
   * @throws IOException when the rest of the file cannot be read
   */
  Optional<Row> next() throws IOException;

  /** What {@link Row#number} counts: line, element or row. */
  String unit();

  /** The share of the file that was read so far, from 0 to 1. */
  double progress();

  @Override
  void close() throws IOException;
}
