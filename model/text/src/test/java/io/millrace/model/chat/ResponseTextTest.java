package io.millrace.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.tokenizer.Corpus;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ResponseTextTest {

  private static final List<String> TEXTS =
      List.of(
          "Mix flour and water.",
          "A long text. ".repeat(20) + "日本語 🙂👍🏽 ".repeat(30),
          "  two  spaces ",
          "naïve café — 日本語 🙂👍🏽 end",
          "line\nline\n\n",
          "",
          " ");

  @Test
  void thePartsAreTheWholeText() {
    try (Tokenizer bytes =
            ByteLevelBpeTrainer.train(List.of("x"), ByteLevelBpeTrainer.MIN_VOCABULARY)
                .tokenizer();
        Tokenizer words = ByteLevelBpeTrainer.train(Corpus.sentences(500, 3), 500).tokenizer()) {
      for (Tokenizer tokenizer : List.of(bytes, words)) {
        ChatTemplate template = ChatTemplate.of(tokenizer);
        for (String text : TEXTS) {
          int[] tokens = template.responseTokens(text);
          assertEquals(text, joined(template, tokens), "with its end");
          int[] cut = Arrays.copyOf(tokens, tokens.length - 1);
          assertEquals(template.responseText(cut), joined(template, cut), "without its end");
        }
        Random random = new Random(5);
        for (int i = 0; i < 200; i++) {
          int[] tokens = random.ints(random.nextInt(140), 3, 256).toArray();
          assertEquals(template.responseText(tokens), joined(template, tokens));
        }
      }
    }
  }

  /** The parts in order; no part ends in half a character. */
  private static String joined(ChatTemplate template, int[] tokens) {
    ResponseText response = new ResponseText(template);
    StringBuilder joined = new StringBuilder();
    for (int token : tokens) {
      String part = response.add(token);
      assertFalse(part.endsWith("\ufffd"), part);
      assertFalse(!part.isEmpty() && Character.isHighSurrogate(part.charAt(part.length() - 1)));
      joined.append(part);
    }
    return joined.append(response.end()).toString();
  }

  @Test
  void textComesWithTheTokenThatCompletesIt() {
    try (Tokenizer bytes =
        ByteLevelBpeTrainer.train(List.of("x"), ByteLevelBpeTrainer.MIN_VOCABULARY).tokenizer()) {
      ChatTemplate template = ChatTemplate.of(bytes);
      ResponseText response = new ResponseText(template);
      int[] tokens = template.responseTokens("aé b");
      StringBuilder parts = new StringBuilder();
      for (int token : tokens) {
        parts.append('[').append(response.add(token)).append(']');
      }
      // The space of the form, a, two bytes of é, a space, b, the end with its space.
      assertTrue(parts.toString().contains("[a][][é][][ b]"), parts.toString());
    }
  }
}
