package io.millrace.schemas;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Escapes control characters in UTF-8 text on its way to a terminal, as {@link Printable#text}
 * does: line breaks and tabs stay. All output of a command passes through it, so no command can
 * print foreign text unescaped. {@link Printable#line} also keeps foreign text from breaking lines.
 *
 * <p>A character may come in several writes. Bytes that are not UTF-8 pass, but for 0x80 to 0x9f,
 * which some terminals obey.
 */
public final class PrintableStream extends FilterOutputStream {

  private static final int LONGEST_CHARACTER = 4;

  /** The beginning of a character, and how many bytes it has in all. */
  private final byte[] begun = new byte[LONGEST_CHARACTER];

  private int count;
  private int length;

  private PrintableStream(OutputStream out) {
    super(out);
  }

  /** A stream that prints to another one, in its character set. */
  public static PrintStream of(PrintStream terminal) {
    return new PrintStream(new PrintableStream(terminal), true, terminal.charset());
  }

  @Override
  public void write(byte[] bytes, int from, int size) throws IOException {
    int plain = from;
    for (int i = from; i < from + size; i++) {
      boolean passes = count == 0 && ((bytes[i] >= ' ' && bytes[i] != 0x7f) || isLayout(bytes[i]));
      if (!passes) {
        out.write(bytes, plain, i - plain);
        write(bytes[i]);
        plain = i + 1;
      }
    }
    out.write(bytes, plain, from + size - plain);
  }

  private static boolean isLayout(int b) {
    return b == '\n' || b == '\t';
  }

  @Override
  public void write(int next) throws IOException {
    int b = next & 0xff;
    if (count > 0 && (b & 0xc0) != 0x80) {
      writeBegun();
    }
    if (count == 0) {
      begin(b);
    } else {
      begun[count++] = (byte) b;
    }
    if (count > 0 && count == length) {
      end();
    }
  }

  private void begin(int b) throws IOException {
    if (b < 0x80) {
      if (Character.isISOControl(b) && !isLayout(b)) {
        escape(b);
      } else {
        out.write(b);
      }
    } else if (b < 0xa0) {
      escape(b); // Not UTF-8: no character begins with it.
    } else if (b < 0xc2 || b > 0xf4) {
      out.write(b);
    } else {
      begun[0] = (byte) b;
      count = 1;
      length = b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
    }
  }

  private void end() throws IOException {
    String character = new String(begun, 0, length, StandardCharsets.UTF_8);
    if (Printable.isControl(character.codePointAt(0))) {
      count = 0;
      escape(character.codePointAt(0));
    } else {
      writeBegun();
    }
  }

  private void writeBegun() throws IOException {
    int size = count;
    count = 0;
    out.write(begun, 0, size);
  }

  private void escape(int codePoint) throws IOException {
    out.write(Printable.line(Character.toString(codePoint)).getBytes(StandardCharsets.US_ASCII));
  }

  @Override
  public void close() throws IOException {
    writeBegun();
    super.close();
  }
}
