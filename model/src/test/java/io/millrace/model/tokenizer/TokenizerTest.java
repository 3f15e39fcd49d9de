package io.millrace.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {

  private static final List<String> TEXTS =
      List.of(
          "[INST] How do I bake bread? [/INST]",
          " Mix the flour and the water. ",
          "[INST] How do I water a plant? [/INST]",
          " Pour the water on the soil. ");

  @TempDir static Path directory;

  private static Tokenizer tokenizer;
  private static ChatTemplate template;

  @BeforeAll
  static void train() throws IOException {
    ByteLevelBpeTrainer.train(TEXTS, 300).save(directory);
    tokenizer = Tokenizer.load(directory);
    template = ChatTemplate.of(tokenizer);
  }

  @Test
  void theMostFrequentPairIsMergedFirstAndTiesGoToTheFirstInOrder() {
    // "ab" occurs three times, "bc" and "ca" twice in one word: after ab, "abc" is the best pair.
    TrainedTokenizer trained = ByteLevelBpeTrainer.train(List.of("abcabc ab"), 260 + 2);
    assertEquals(262, trained.vocabSize());
  }

  @Test
  void theSameTextsGiveTheSameFiles(@TempDir Path again) throws IOException {
    ByteLevelBpeTrainer.train(TEXTS, 300).save(again);
    assertArrayEquals(
        Files.readAllBytes(directory.resolve(Tokenizer.TOKENIZER)),
        Files.readAllBytes(again.resolve(Tokenizer.TOKENIZER)));
  }

  @Test
  void aVocabularyThatCannotHoldTheBytesIsRefused() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> ByteLevelBpeTrainer.train(TEXTS, 100));
    assertTrue(e.getMessage().contains("260"), e.getMessage());
  }

  @Test
  void anyTextComesBack() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 200; i++) {
      String text =
          random
              .ints(random.nextInt(1, 40), 0, 0x1F800)
              .filter(c -> c < 0xD800 || c > 0xDFFF)
              .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
              .toString();
      assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
    }
    for (String text : List.of("", " ", "\n\n", "  two", "tab\there", "e\u0301", "naïve 🙂")) {
      assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
    }
  }

  @Test
  void textNeverBecomesASpecialToken() {
    for (String text : List.of("</s>", "a</s>b", "<s><s>", "</s", "<pad></s><sep>", "<</s>s>")) {
      int[] tokens = tokenizer.encode(text);
      assertTrue(Arrays.stream(tokens).allMatch(token -> token >= 4), text);
      assertEquals(text, tokenizer.decode(tokens));
    }
  }

  @Test
  void aPromptAndItsResponseMakeTheDemonstration() {
    List<Message> prompt =
        List.of(
            Message.system("Be kind."),
            Message.user(" How? "),
            Message.assistant("So."),
            Message.user("And?"));
    int[] promptTokens = template.promptTokens(prompt);
    int[] responseTokens = template.responseTokens("Thus.");
    List<Message> whole = new ArrayList<>(prompt);
    whole.add(Message.assistant("Thus."));
    ChatTemplate.Tokenized demonstration = template.demonstration(whole);
    int[] joined =
        IntStream.concat(Arrays.stream(promptTokens), Arrays.stream(responseTokens)).toArray();
    assertArrayEquals(joined, demonstration.tokens());
    assertEquals("Thus.", template.responseText(responseTokens));
    assertEquals(
        "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHow? [/INST] So. [INST] And? [/INST]",
        tokenizer.decode(promptTokens));

    // Written out: <s> prompt | answer </s> | <s> prompt | answer </s>; the loss on answers alone.
    int first = 1 + tokenizer.encode("[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHow? [/INST]").length;
    int answer = tokenizer.encode(" So. ").length + 1;
    int second = 1 + tokenizer.encode("[INST] And? [/INST]").length;
    boolean[] loss = new boolean[demonstration.tokens().length];
    Arrays.fill(loss, first, first + answer, true);
    Arrays.fill(loss, first + answer + second, loss.length, true);
    assertArrayEquals(loss, demonstration.loss());
    assertEquals(tokenizer.bos(), demonstration.tokens()[0]);
    assertEquals(tokenizer.eos(), demonstration.tokens()[first + answer - 1]);
    assertEquals(tokenizer.bos(), demonstration.tokens()[first + answer]);
  }

  @Test
  void dialoguesOutOfTurnAreRefusedWithTheTurn() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> template.promptTokens(List.of(Message.user("a"), Message.user("b"))));
    assertTrue(e.getMessage().contains("turn 1"), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> template.promptTokens(List.of()));
    assertThrows(
        IllegalArgumentException.class, () -> template.demonstration(List.of(Message.user("a"))));
  }

  @Test
  void filesThatAreNoTokenizerAreRefusedWithTheirPath(@TempDir Path broken) throws IOException {
    assertRefused(broken);
    Files.copy(directory.resolve(Tokenizer.CONFIG), broken.resolve(Tokenizer.CONFIG));
    for (String garbage :
        List.of("", "{", "[]", "{\"model\":{}}", "{\"model\":{\"vocab\":{\"a\":0}}}")) {
      Files.writeString(broken.resolve(Tokenizer.TOKENIZER), garbage);
      assertRefused(broken);
    }
  }

  private static void assertRefused(Path broken) {
    TokenizerException e =
        assertThrows(TokenizerException.class, () -> Tokenizer.load(broken).close());
    assertTrue(e.getMessage().contains(broken.toString()), e.getMessage());
  }

  @Test
  void aTemplateOfAnotherFormIsRefused(@TempDir Path other) throws IOException {
    tokenizer.save(other);
    Files.writeString(
        other.resolve(Tokenizer.CONFIG),
        Files.readString(other.resolve(Tokenizer.CONFIG)).replace("[INST]", "<|im_start|>"));
    try (Tokenizer loaded = Tokenizer.load(other)) {
      TokenizerException e = assertThrows(TokenizerException.class, () -> ChatTemplate.of(loaded));
      assertTrue(e.getMessage().contains("[INST]"), e.getMessage());
    }
  }
}
