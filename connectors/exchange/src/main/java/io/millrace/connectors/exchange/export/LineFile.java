package io.millrace.connectors.exchange.export;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** A file of lines that appears under its name once it is complete. */
public final class LineFile implements AutoCloseable {
  private final Path file;
  private final Path part;
  private final boolean overwrite;
  private final OutputStream out;
  private boolean complete;

  /**
   * Begins the file as {@code FILE.part}.
   *
   * @param overwrite whether an existing file is replaced
   * @throws FileAlreadyExistsException if it must not be
   */
  public LineFile(Path file, Compression compression, boolean overwrite) throws IOException {
    this.file = file;
    this.overwrite = overwrite;
    requireFree();
    this.part = file.resolveSibling(file.getFileName() + ".part");
    this.out = new BufferedOutputStream(compression.to(Files.newOutputStream(part)), 1 << 16);
  }

  private void requireFree() throws IOException {
    if (!overwrite && Files.exists(file)) {
      throw new FileAlreadyExistsException(file.toString());
    }
  }

  /** Adds a line. */
  public void add(String line) throws IOException {
    out.write(line.getBytes(StandardCharsets.UTF_8));
    out.write('\n');
  }

  /** Ends the file, and gives it its name. */
  public void finish() throws IOException {
    out.close();
    requireFree();
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    complete = true;
  }

  /** Removes the file if it is not complete. */
  @Override
  public void close() throws IOException {
    if (!complete) {
      out.close();
      Files.deleteIfExists(part);
    }
  }
}
