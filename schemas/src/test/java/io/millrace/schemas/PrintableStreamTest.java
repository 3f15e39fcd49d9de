package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class PrintableStreamTest {

  private final ByteArrayOutputStream terminal = new ByteArrayOutputStream();
  private final PrintStream out =
      PrintableStream.of(new PrintStream(terminal, false, StandardCharsets.UTF_8));

  private String printed() {
    String text = terminal.toString(StandardCharsets.UTF_8);
    terminal.reset();
    return text;
  }

  @Test
  void escapesWhatATerminalWouldObey() {
    out.print("\u001b[2Jgone\u001b]0;title\u0007");
    assertEquals("\\u001b[2Jgone\\u001b]0;title\\u0007", printed());
    // The second set of control characters, marks of direction, a line that overwrites itself.
    out.printf("%s|%s|%s%n", "\u009b31m", "\u202egnp.exe\u2066", "ok\rno");
    assertEquals("\\u009b31m|\\u202egnp.exe\\u2066|ok\\rno\n", printed());
  }

  @Test
  void printsEveryCharacterAsPrintableDoes() {
    for (int c = 0; c < 0x11000; c += c < 0x3000 ? 1 : 37) {
      if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
        String text = "a" + Character.toString(c) + "b";
        out.print(text);
        assertEquals(Printable.text(text), printed(), "character " + Integer.toHexString(c));
      }
    }
  }

  @Test
  void aCharacterMayComeInSeveralWrites() throws Exception {
    String text = "é \ud83d\ude00 \u202e 汉\u009b";
    for (byte one : text.getBytes(StandardCharsets.UTF_8)) {
      out.write(one);
      out.flush();
    }
    assertEquals("é \ud83d\ude00 \\u202e 汉\\u009b", printed());
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    for (int cut = 0; cut < bytes.length; cut++) {
      out.write(bytes, 0, cut);
      out.write(bytes, cut, bytes.length - cut);
      assertEquals("é \ud83d\ude00 \\u202e 汉\\u009b", printed());
    }
  }

  @Test
  void bytesThatAreNotUtf8CarryNoControlCharacterEither() throws Exception {
    out.write(new byte[] {'a', (byte) 0x9b, '3', (byte) 0xe9, 0x1b, (byte) 0xe2, (byte) 0x80, 'x'});
    out.flush();
    assertArrayEquals(
        new byte[] {
          'a',
          '\\',
          'u',
          '0',
          '0',
          '9',
          'b',
          '3',
          (byte) 0xe9,
          '\\',
          'u',
          '0',
          '0',
          '1',
          'b',
          (byte) 0xe2,
          (byte) 0x80,
          'x'
        },
        terminal.toByteArray());
  }
}
