package io.millrace.schemas.wire;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

class TextLinesTest {

  @Test
  void readsLinesWithAByteOrderMarkAndEveryLineBreak() throws IOException {
    byte[] bytes = "\uFEFFcafé\r\n\n \uFEFF\nlast".getBytes(UTF_8);
    assertEquals(List.of("café", "", " \uFEFF", "last"), texts(new ByteArrayInputStream(bytes)));
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
      gzip.write(bytes);
    }
    assertEquals(
        List.of("café", "", " \uFEFF", "last"),
        texts(new ByteArrayInputStream(compressed.toByteArray())));
    assertEquals(List.of(), texts(InputStream.nullInputStream()));
  }

  @Test
  void refusesALineOfOtherBytesByItsNumberAndReadsTheNext() throws IOException {
    InputStream in =
        new SequenceInputStream(
            new ByteArrayInputStream("one\ncafé\n".getBytes(ISO_8859_1)),
            new ByteArrayInputStream("drei\n".getBytes(UTF_8)));
    try (TextLines lines = new TextLines(in)) {
      assertEquals("one", lines.next().orElseThrow().text());
      TextLines.Line latin = lines.next().orElseThrow();
      WireFormatException e = assertThrows(WireFormatException.class, latin::text);
      assertTrue(e.getMessage().startsWith("the line is not UTF-8"), e.getMessage());
      assertEquals(2, latin.number());
      assertEquals("drei", lines.next().orElseThrow().text());
    }
  }

  @Test
  void keepsNoMoreOfALineThanItsBound() throws IOException {
    long size = 3L * TextLines.MAX_LINE_BYTES;
    InputStream huge =
        new InputStream() {
          private long left = size;

          @Override
          public int read() {
            return left-- > 0 ? 'x' : -1;
          }

          @Override
          public int read(byte[] bytes, int offset, int length) {
            int count = (int) Math.min(left, length);
            Arrays.fill(bytes, offset, offset + count, (byte) 'x');
            left -= count;
            return count == 0 ? -1 : count;
          }
        };
    InputStream in =
        new SequenceInputStream(huge, new ByteArrayInputStream("\nnext\n".getBytes(UTF_8)));
    try (TextLines lines = new TextLines(in)) {
      TextLines.Line line = lines.next().orElseThrow();
      assertEquals(TextLines.MAX_LINE_BYTES + 1, line.bytes().length);
      assertThrows(WireFormatException.class, line::text);
      assertEquals("next", lines.next().orElseThrow().text());
    }
  }

  @Test
  void jsonHasEachKeyOnceAndWholeCharacters() {
    assertRefused("Duplicate field 'a'", "{\"a\":1,\"a\":2}");
    assertRefused("\"a[1].b\" has a lone surrogate \\ud83d", "{\"a\":[1,{\"b\":\"x\\ud83d y\"}]}");
    assertRefused("lone surrogate \\ude00", "{\"\\ude00\":1}");
    assertRefused("not JSON: Trailing token", "{} {}");
    assertEquals("😀", StrictJson.read("{\"a\":\"\\ud83d\\ude00\"}").get("a").textValue());
  }

  private static void assertRefused(String problem, String line) {
    WireFormatException e = assertThrows(WireFormatException.class, () -> StrictJson.read(line));
    assertTrue(e.getMessage().contains(problem), e.getMessage());
  }

  private static List<String> texts(InputStream in) throws IOException {
    List<String> texts = new ArrayList<>();
    try (TextLines lines = new TextLines(in)) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        texts.add(line.get().text());
      }
    }
    return texts;
  }
}
