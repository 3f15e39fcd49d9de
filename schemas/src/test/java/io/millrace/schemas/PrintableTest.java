package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.Test;

class PrintableTest {
  @Test
  void escapesWhatATerminalWouldObey() {
    assertEquals("\\u001b[2Jgone", Printable.text("\u001b[2Jgone"));
    assertEquals("a\n\tb\\r\\u0000", Printable.text("a\n\tb\r\u0000"));
    assertEquals("a\\n\\tb\\r\\u0007", Printable.line("a\n\tb\r\u0007"));
    // The second set of control characters, and marks of direction.
    assertEquals("\\u009b31m\\u202egnp.exe", Printable.line("\u009b31m\u202egnp.exe"));
    assertEquals("\\u2028\\u2066", Printable.text("\u2028\u2066"));
  }

  @Test
  void leavesOtherTextAsItIs() {
    String text = "é e\u0301 \ud83d\ude00 \u05d0 $1 \\ 汉字";
    assertEquals(text, Printable.text(text));
    assertEquals(text, Printable.line(text));
  }

  @Test
  void noControlCharacterIsLeft() {
    for (char c = 0; c < 0x3000; c++) {
      String line = Printable.line("a" + c + "b");
      assertFalse(line.chars().anyMatch(Character::isISOControl), () -> line);
    }
  }
}
