package io.millrace.schemas.wire;

import io.millrace.schemas.PlainFiles;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.GZIPInputStream;

/**
 * The lines of a text file from outside, plain or compressed by gzip. Every reader of such files
 * has this policy:
 *
 * <ul>
 *   <li>Lines are UTF-8. A byte order mark may be at the beginning of the first.
 *   <li>A line of other bytes, or of more than {@link #MAX_LINE_BYTES}, is refused by its number;
 *       the lines after it can be read.
 * </ul>
 */
public final class TextLines implements AutoCloseable {
  /** Most bytes of a line: 64 MiB. */
  public static final int MAX_LINE_BYTES = 64 << 20;

  private static final char BYTE_ORDER_MARK = '\uFEFF';

  private final InputStream in;
  private final byte[] buffer = new byte[1 << 16];
  private int at;
  private int end;
  private long number;

  /** Reads a stream; its first bytes show whether it is compressed. */
  public TextLines(InputStream bytes) throws IOException {
    BufferedInputStream buffered = new BufferedInputStream(bytes, 1 << 16);
    try {
      buffered.mark(2);
      boolean gzip = buffered.read() == 0x1F && buffered.read() == 0x8B;
      buffered.reset();
      this.in = gzip ? new GZIPInputStream(buffered, 1 << 16) : buffered;
    } catch (IOException e) {
      buffered.close();
      throw e;
    }
  }

  /**
   * Reads a file.
   *
   * @throws java.nio.file.FileSystemException if it is a pipe or a device
   */
  public static TextLines of(Path file) throws IOException {
    return new TextLines(PlainFiles.open(file));
  }

  /**
   * A line.
   *
   * @param number from 1
   * @param bytes without the line break; of a line that is too long, the beginning
   */
  public record Line(long number, byte[] bytes) {

    /** Whether the line has nothing but spaces. */
    public boolean isBlank() {
      int start = startsWithMark() ? 3 : 0;
      for (int i = start; i < bytes.length; i++) {
        if (bytes[i] < 0 || bytes[i] > ' ') {
          return false;
        }
      }
      return true;
    }

    private boolean startsWithMark() {
      return number == 1
          && bytes.length >= 3
          && bytes[0] == (byte) 0xEF
          && bytes[1] == (byte) 0xBB
          && bytes[2] == (byte) 0xBF;
    }

    /**
     * The line's text, without a byte order mark.
     *
     * @throws WireFormatException for a line that is refused
     */
    public String text() {
      if (bytes.length > MAX_LINE_BYTES) {
        throw new WireFormatException(
            "the line has more than %d bytes; split it".formatted(MAX_LINE_BYTES));
      }
      String text;
      try {
        text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      } catch (CharacterCodingException e) {
        throw new WireFormatException(
            "the line is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8",
            e);
      }
      return number == 1 && !text.isEmpty() && text.charAt(0) == BYTE_ORDER_MARK
          ? text.substring(1)
          : text;
    }
  }

  /** The next line; empty at the end. */
  public Optional<Line> next() throws IOException {
    if (at == end && !fill()) {
      return Optional.empty();
    }
    number++;
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    boolean complete = false;
    while (!complete && (at < end || fill())) {
      int start = at;
      while (at < end && buffer[at] != '\n') {
        at++;
      }
      line.write(buffer, start, Math.min(at - start, MAX_LINE_BYTES + 1 - line.size()));
      complete = at < end;
      at += complete ? 1 : 0;
    }
    byte[] bytes = line.toByteArray();
    boolean carriageReturn = bytes.length > 0 && bytes[bytes.length - 1] == '\r';
    return Optional.of(
        new Line(number, carriageReturn ? Arrays.copyOf(bytes, bytes.length - 1) : bytes));
  }

  private boolean fill() throws IOException {
    at = 0;
    end = Math.max(0, in.read(buffer));
    return end > 0;
  }

  /** The number of the line that {@link #next} returned last. */
  public long number() {
    return number;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
