package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of JSON with values of the wrong type, without parts, with too many parts. */
class MillraceJsonTest {

  enum State {
    RUNNING,
    DONE
  }

  record Inner(String text) {}

  record Sample(
      long number,
      double share,
      State state,
      List<Inner> list,
      Map<String, Double> map,
      @JsonSetter(nulls = Nulls.SET) String note) {}

  private static final String GOOD =
      "{'number':1,'share':0.5,'state':'DONE','list':[{'text':'a'}],'map':{'k':1}}";

  @TempDir private Path directory;

  private Sample read(String json) throws IOException {
    Path file = Files.writeString(directory.resolve("x.json"), json.replace('\'', '"'));
    return MillraceJson.read(file, Sample.class, "sample");
  }

  @Test
  void onlyAComponentThatMayBeAbsentMayBeAbsent() throws Exception {
    Sample expected =
        new Sample(1, 0.5, State.DONE, List.of(new Inner("a")), Map.of("k", 1.0), null);
    assertEquals(expected, read(GOOD));
    assertEquals(expected, read(GOOD.replace("1}}", "1},'note':null}")));
    assertNull(read(GOOD).note());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'number':1, | `` | number",
        "'number':1 | 'number':null | number",
        "'number':1 | 'number':'1' | number",
        "'number':1 | 'number':1.5 | number",
        "'number':1 | 'number':1e400 | number",
        "'number':1 | 'number':true | number",
        "'number':1 | 'number':[1] | number",
        "'number':1 | 'number':9223372036854775808 | number",
        "'number':1 | 'number':1,'number':2 | Duplicate",
        "'number':1 | 'number':1,'other':2 | other",
        "'share':0.5, | `` | share",
        "'share':0.5 | 'share':'0.5' | share",
        "'state':'DONE', | `` | state is null or missing",
        "'DONE' | 1 | state",
        "'DONE' | 'done' | state",
        "'list':[{'text':'a'}], | `` | list is null or missing",
        "[{'text':'a'}] | null | list is null or missing",
        "[{'text':'a'}] | [null] | list",
        "[{'text':'a'}] | {} | list",
        "{'text':'a'} | {} | list[0].text is null or missing",
        "{'text':'a'} | {'text':null} | list[0].text is null or missing",
        "{'text':'a'} | {'text':7} | list[0].text",
        "'k':1 | 'k':null | map",
        "'k':1 | 'k':'1' | map",
        "}} | }}{} | Trailing token",
        "}} | } | end",
      })
  void aBadFileIsRefusedWithFileAndField(String part, String instead, String problem) {
    String bad = GOOD.replace(part, instead);
    String message = assertThrows(IOException.class, () -> read(bad), bad).getMessage();
    assertTrue(message.contains("x.json is no sample: "), message);
    assertTrue(message.substring(message.indexOf("is no sample: ")).contains(problem), message);
    assertEquals(1, message.lines().count(), message);
  }

  @ParameterizedTest
  @CsvSource({"''", "null", "[]", "5", "{}"})
  void aFileWithoutAnObjectIsRefused(String json) {
    String message = assertThrows(IOException.class, () -> read(json)).getMessage();
    assertTrue(message.contains("x.json is no sample: "), message);
  }

  @Test
  void deepNestingEndsEarly() {
    for (String json : List.of("[".repeat(100_000), "{'a':".repeat(100_000))) {
      assertThrows(IOException.class, () -> read(json));
      assertThrows(IOException.class, () -> read(GOOD.replace("'a'}]", json)));
    }
  }

  @Test
  void whatIsNoFileIsRefusedByName() {
    assertThrows(
        NoSuchFileException.class,
        () -> MillraceJson.read(directory.resolve("none"), Sample.class, "sample"));
    String message =
        assertThrows(IOException.class, () -> MillraceJson.read(directory, Sample.class, "sample"))
            .getMessage();
    assertTrue(message.contains(directory.toString()), message);
  }
}
