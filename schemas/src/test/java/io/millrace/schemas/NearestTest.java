package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestTest {

  private static final List<String> NAMES =
      List.of("judgments", "prompts", "model.layers.0.self_attn.q_proj.weight", "batch-size");

  @ParameterizedTest
  @CsvSource({
    // A transposition is two edits.
    "jugdments, judgments",
    "JUDGMENTS, judgments",
    "promt, prompts",
    "bath-size, batch-size",
    "batchSize, batch-size",
    "model.layers.0.self_attn.q_proj.wieght, model.layers.0.self_attn.q_proj.weight",
  })
  void aMistypedNameFindsTheOneThatWasMeant(String mistyped, String meant) {
    assertEquals(Optional.of(meant), Nearest.to(mistyped, NAMES));
  }

  @ParameterizedTest
  @CsvSource({"rollouts", "x", "''"})
  void aNameFarFromAllFindsNone(String name) {
    assertEquals(Optional.empty(), Nearest.to(name, NAMES));
  }

  @Test
  void aThirdOfTheLettersMayDifferAndAtLeastTwo() {
    assertEquals(Optional.of("abcdefghi"), Nearest.to("abcdefxyz", List.of("abcdefghi")));
    assertEquals(Optional.empty(), Nearest.to("abcdewxyz", List.of("abcdefghi")));
    assertEquals(Optional.of("abc"), Nearest.to("axy", List.of("abc")));
    assertEquals(Optional.empty(), Nearest.to("xyz", List.of("abc")));
  }

  @Test
  void theFirstOfEquallyNearNamesIsReturned() {
    assertEquals(Optional.of("ba"), Nearest.to("aa", List.of("ba", "ab")));
    assertEquals(Optional.of("ab"), Nearest.to("ab", List.of("ba", "ab")));
  }

  @Test
  void longNamesAndLongListsAreNotCompared() {
    assertEquals(Optional.empty(), Nearest.to("a".repeat(201), List.of("a".repeat(200))));
    assertEquals(Optional.empty(), Nearest.to("a".repeat(200), List.of("a".repeat(201))));
    assertEquals(Optional.empty(), Nearest.to("ab", Collections.nCopies(5001, "ab")));
    assertEquals(Optional.of("ab"), Nearest.to("ab", Collections.nCopies(5000, "ab")));
  }

  @Test
  void aHintNamesTheNearestOrAllThatAreKnown() {
    assertEquals("; did you mean prompts?", Nearest.hint("pormpts", NAMES));
    assertEquals("; known are yes, no", Nearest.hint("maybe so", List.of("yes", "no")));
  }
}
