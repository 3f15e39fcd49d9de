package io.millrace.model.tokenizer.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.tokenizer.Corpus;
import io.millrace.model.tokenizer.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Merges against examples worked by hand and against {@link SlowBpe}. */
class ByteLevelBpeTrainerTest {
  /** The character for a space in byte-level vocabularies. */
  private static final String SP = "\u0120";

  @Test
  void learnsTheMergesOfAHandWorkedExample() {
    // Words: "ab" once, " ab" twice, " abc" once.
    // Pairs: (a b) 4, (_ a) 3, (b c) 1. After "ab": (_ ab) 3, (ab c) 1. After "_ab": (_ab c) 1.
    TrainedTokenizer trained = train(260 + 10, "ab ab ab abc");
    assertEquals(List.of("a b", SP + " ab", SP + "ab c"), trained.merges());
    assertEquals(List.of("ab", SP + "ab", SP + "abc"), trained.vocabulary().subList(260, 263));
    assertEquals(
        263,
        trained.vocabulary().size(),
        "every word is one token, so there is nothing more to merge");
  }

  @Test
  void breaksTiesByTheLowerIds() {
    // (x y), (z w) and (_ z) occur once each; x < z < _ in the alphabet's order.
    assertEquals(List.of("x y", "z w", SP + " zw"), train(300, "xy zw").merges());
  }

  @Test
  void mergesRepeatedSymbolsFromLeftToRight() {
    // "aaaaa": (a a) four times, then aa aa a: (aa a) 1 and (aa aa) 1, the former with lower ids.
    assertEquals(List.of("a a", "aa a", "aa aaa"), train(300, "aaaaa").merges());
  }

  @Test
  void noTokenOccursTwice() {
    Random random = new Random(31);
    for (int i = 0; i < 50; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = 0; n < 400; n++) {
        text.append("aaabbc ".charAt(random.nextInt(7)));
      }
      List<String> vocabulary = train(500, text.toString()).vocabulary();
      assertEquals(vocabulary.size(), new HashSet<>(vocabulary).size());
    }
  }

  @Test
  void agreesWithRecountingFromScratch() {
    List<String> corpus =
        Corpus.sentences(60, 5).stream()
            .map(text -> text.replaceAll("[^\\p{L} ]", "").replaceAll(" +", " ").strip())
            .toList();
    assertEquals(
        SlowBpe.merges(corpus, 80), ByteLevelBpeTrainer.train(corpus, 340).merges().subList(0, 80));
  }

  @Test
  void theSameCorpusInAnyOrderGivesTheSameBytes(@TempDir Path directory) throws Exception {
    List<String> corpus = Corpus.sentences(500, 7);
    ByteLevelBpeTrainer.train(corpus, 340).save(directory.resolve("a"));
    Collections.shuffle(corpus, new Random(11));
    ByteLevelBpeTrainer.train(corpus, 340).save(directory.resolve("b"));
    for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
      assertArrayEquals(
          Files.readAllBytes(directory.resolve("a").resolve(file)),
          Files.readAllBytes(directory.resolve("b").resolve(file)));
    }
  }

  @Test
  void theLibraryAppliesTheMergesAsLearned() {
    TrainedTokenizer trained = ByteLevelBpeTrainer.train(Corpus.sentences(500, 7), 340);
    assertEquals(340, trained.vocabulary().size());
    try (Tokenizer tokenizer = trained.tokenizer()) {
      assertEquals(340, tokenizer.vocabSize());
      for (int id = 0; id < 340; id++) {
        assertEquals(id, tokenizer.idOf(trained.vocabulary().get(id)).orElseThrow());
      }
      String frequent = trained.vocabulary().get(339).replace(SP, " ");
      assertTrue(Arrays.stream(tokenizer.encode(frequent)).anyMatch(id -> id == 339), frequent);
    }
  }

  @Test
  void refusesWhatItCannotTrainOn() {
    var small = assertThrows(IllegalArgumentException.class, () -> train(259, "some text"));
    assertEquals(
        "a vocabulary of 259 tokens is too small: 256 bytes and 4 special tokens need 260",
        small.getMessage());
    for (String[] empty : new String[][] {{}, {"", ""}}) {
      var e = assertThrows(IllegalArgumentException.class, () -> train(300, empty));
      assertTrue(e.getMessage().startsWith("the corpus has no text"), e.getMessage());
    }
    assertEquals(List.of(), train(260, "some text").merges());
  }

  private static TrainedTokenizer train(int size, String... corpus) {
    return ByteLevelBpeTrainer.train(List.of(corpus), size);
  }
}
