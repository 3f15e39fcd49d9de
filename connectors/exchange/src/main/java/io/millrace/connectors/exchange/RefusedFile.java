package io.millrace.connectors.exchange;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A file of refusals as JSON Lines, each with {@code file}, {@code unit}, {@code number}, {@code
 * reason}, {@code message} and the {@code row} as text.
 */
public final class RefusedFile implements AutoCloseable {
  private final BufferedWriter out;

  /**
   * Creates the file.
   *
   * @throws java.nio.file.FileAlreadyExistsException if there is one
   */
  public RefusedFile(Path file) throws IOException {
    this.out = Files.newBufferedWriter(file, StandardOpenOption.CREATE_NEW);
  }

  /** Adds a refusal. */
  public void add(Refusal refusal) throws IOException {
    ObjectNode line = JsonNodeFactory.instance.objectNode();
    line.put("file", refusal.file().toString());
    line.put("unit", refusal.unit());
    line.put("number", refusal.number());
    line.put("reason", refusal.reason());
    line.put("message", refusal.message());
    line.put("row", refusal.text());
    out.write(line.toString());
    out.write('\n');
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
