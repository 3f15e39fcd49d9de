package io.millrace.model.supervised;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.supervised.SequencePacker.Batch;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import io.millrace.model.training.LearningRate;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Which tokens are learned, token by token: under each token of a sequence, spelled as one
 * character, stands 1 where it is. B, E and | spell bos, eos and the separator.
 */
class SupervisedExamplesTest {

  private static final long SEED = 5;

  /** One token a byte. */
  private static Tokenizer bytes;

  private static ChatTemplate template;

  @BeforeAll
  static void train() {
    bytes = ByteLevelBpeTrainer.train(List.of("x"), 260).tokenizer();
    template = ChatTemplate.of(bytes);
  }

  @AfterAll
  static void close() {
    bytes.close();
  }

  private static void assertExample(String tokens, String learned, Example example) {
    assertEquals(tokens + "\n" + learned, spell(example));
  }

  private static String spell(Example example) {
    StringBuilder tokens = new StringBuilder();
    StringBuilder learned = new StringBuilder();
    for (int i = 0; i < example.tokens().length; i++) {
      int token = example.tokens()[i];
      if (token == bytes.bos()) {
        tokens.append('B');
      } else if (token == bytes.eos()) {
        tokens.append('E');
      } else if (token == bytes.separator()) {
        tokens.append('|');
      } else {
        tokens.append(bytes.decode(new int[] {token}));
      }
      learned.append(example.loss()[i] ? '1' : '0');
    }
    return tokens + "\n" + learned;
  }

  private static Example say(String user, String answer) {
    return SupervisedExamples.answers(
        template, List.of(Message.user(user), Message.assistant(answer)), 0);
  }

  private static final List<Message> TWO_TURNS =
      List.of(
          Message.user("be k."),
          Message.assistant("k."),
          Message.user("go"),
          Message.assistant("on k"));

  @Test
  void answersAndTheirEndTokensAreLearnedAndNothingElse() {
    assertExample(
        "B[INST] hi [/INST] yo E", //
        "00000000000000000011111",
        say("hi", "yo"));
  }

  @Test
  void everyAnswerOfADialogueIsLearned() {
    assertExample(
        "B[INST] be k. [/INST] k. EB[INST] go [/INST] on k E",
        "000000000000000000000111110000000000000000001111111",
        SupervisedExamples.answers(template, TWO_TURNS, 0));
  }

  @Test
  void answersBeforeTheFirstLearnedTurnAreNotLearnedNorAreTheirEndTokens() {
    String tokens = "B[INST] be k. [/INST] k. EB[INST] go [/INST] on k E";
    String lastOnly = "000000000000000000000000000000000000000000001111111";
    assertExample(tokens, lastOnly, SupervisedExamples.answers(template, TWO_TURNS, 3));
    assertExample(tokens, lastOnly, SupervisedExamples.answers(template, TWO_TURNS, 2));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> SupervisedExamples.answers(template, TWO_TURNS, 4));
    assertTrue(
        e.getMessage().contains("firstLearnedTurn is 4 but must be a turn of the dialogue, 0 to 3"),
        e.getMessage());
  }

  @Test
  void aSystemTurnIsNotLearned() {
    assertExample(
        "B[INST] <<SYS>>\nk\n<</SYS>>\n\nhi [/INST] yo E",
        "0000000000000000000000000000000000000011111",
        SupervisedExamples.answers(
            template,
            List.of(Message.system("k"), Message.user("hi"), Message.assistant("yo")),
            0));
  }

  @Test
  void allTokensOfATextOrADialogueAreLearnedButTheFirst() {
    assertExample("BonceE", "011111", SupervisedExamples.text(bytes, "once"));
    assertExample(
        "B[INST] hi [/INST] yo E", //
        "01111111111111111111111",
        SupervisedExamples.allTokens(
            template, List.of(Message.user("hi"), Message.assistant("yo"))));
  }

  @Test
  void aCutTextLearnsEveryTokenOnce() {
    List<Example> pieces = SupervisedExamples.cut(SupervisedExamples.text(bytes, "abcdef"), 4);
    assertEquals(3, pieces.size());
    assertExample("Babc", "0111", pieces.get(0));
    assertExample("cdef", "0111", pieces.get(1));
    assertExample("fE", "01", pieces.get(2));
    List<Example> whole = SupervisedExamples.cut(SupervisedExamples.text(bytes, "ab"), 4);
    assertEquals(1, whole.size());
    assertExample("BabE", "0111", whole.get(0));
  }

  private static SequencePacker packer(int length, int batch, Concatenation how) {
    return new SequencePacker(length, batch, how, bytes.optionalSeparator());
  }

  @Test
  void packedExamplesArePartsOfOneSequenceWithTheSeparatorBetween() {
    // 23 tokens each: two and a separator fill a sequence of 47.
    SequencePacker packer = packer(47, 1, Concatenation.PACKED);
    assertEquals(Optional.empty(), packer.add(say("hi", "yo")));
    assertEquals(Optional.empty(), packer.add(say("ab", "cd")));
    Batch batch = packer.add(say("ef", "gh")).orElseThrow();
    assertEquals(2, batch.examples());
    assertEquals(2, batch.sequences().size());
    assertExample(
        "B[INST] hi [/INST] yo E|", //
        "000000000000000000111110",
        batch.sequences().get(0));
    assertExample(
        "B[INST] ab [/INST] cd E", //
        "00000000000000000011111",
        batch.sequences().get(1));
    assertEquals(1, packer.waiting());
  }

  @Test
  void crossAttendingExamplesAreOneSequence() {
    SequencePacker packer = packer(47, 1, Concatenation.CROSS_ATTENDING);
    packer.add(say("hi", "yo"));
    packer.add(say("ab", "cd"));
    Batch batch = packer.drain().orElseThrow();
    assertEquals(1, batch.sequences().size());
    assertExample(
        "B[INST] hi [/INST] yo E|B[INST] ab [/INST] cd E",
        "00000000000000000011111000000000000000000011111",
        batch.sequences().get(0));
    assertEquals(Optional.empty(), packer.drain());
  }

  @Test
  void aSequenceIsNeverLongerThanItMayBe() {
    SequencePacker packer = packer(46, 2, Concatenation.PACKED);
    packer.add(say("hi", "yo"));
    packer.add(say("ab", "cd"));
    Batch batch = packer.add(say("ef", "gh")).orElseThrow();
    // One short of the room for two: no separators, as every sequence has one example.
    assertEquals(2, batch.sequences().size());
    assertEquals(23, batch.sequences().get(0).tokens().length);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> packer.add(say("h".repeat(30), "yo")));
    assertTrue(e.getMessage().contains("51 tokens does not fit in a sequence of 46"));
  }

  @Test
  void theIncompleteBatchIsState() {
    SequencePacker straight = packer(47, 2, Concatenation.PACKED);
    SequencePacker resumed = packer(47, 2, Concatenation.PACKED);
    for (String user : List.of("a", "b", "c")) {
      straight.add(say(user, "yo"));
    }
    resumed.add(say("left", "over"));
    resumed.restore(straight.examples());
    assertEquals(3, resumed.waiting());
    // Sequences of one example each: the third example does not fit into two of them.
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> packer(40, 2, Concatenation.PACKED).restore(straight.examples()));
    assertTrue(e.getMessage().contains("sequence-length"), e.getMessage());
    for (SequencePacker packer : List.of(straight, resumed)) {
      assertEquals(Optional.empty(), packer.add(say("d", "yo")));
    }
    List<String> expected =
        straight.drain().orElseThrow().sequences().stream()
            .map(SupervisedExamplesTest::spell)
            .toList();
    assertEquals(4, expected.size());
    assertEquals(
        expected,
        resumed.drain().orElseThrow().sequences().stream()
            .map(SupervisedExamplesTest::spell)
            .toList());
  }

  @Test
  void withoutASeparatorExamplesCanBePackedOnly() {
    SequencePacker packer = new SequencePacker(46, 1, Concatenation.PACKED, OptionalInt.empty());
    packer.add(say("hi", "yo"));
    packer.add(say("ab", "cd"));
    Batch batch = packer.drain().orElseThrow();
    assertEquals(2, batch.sequences().size());
    assertEquals(23, batch.sequences().get(0).tokens().length);
    assertThrows(
        IllegalArgumentException.class,
        () -> new SequencePacker(46, 1, Concatenation.CROSS_ATTENDING, OptionalInt.empty()));
  }

  @Test
  void packedExamplesLearnAsIfTheyWereAloneAndCrossAttendingOnesDoNot() {
    try (Backend backend = new CpuBackend()) {
      float[] alone = afterOneUpdate(backend, List.of(say("hi", "yo"), say("ab", "cd")));
      float[] packed = afterOneUpdate(backend, sequences(Concatenation.PACKED));
      float[] crossing = afterOneUpdate(backend, sequences(Concatenation.CROSS_ATTENDING));
      assertArrayEquals(alone, packed, 1e-6f);
      float difference = 0;
      for (int i = 0; i < alone.length; i++) {
        difference = Math.max(difference, Math.abs(alone[i] - crossing[i]));
      }
      assertTrue(difference > 1e-4f, "nothing crossed: " + difference);
    }
  }

  private static List<Example> sequences(Concatenation how) {
    SequencePacker packer = packer(47, 1, how);
    packer.add(say("hi", "yo"));
    packer.add(say("ab", "cd"));
    return packer.drain().orElseThrow().sequences();
  }

  private static float[] afterOneUpdate(Backend backend, List<Example> batch) {
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(bytes.vocabSize())
            .hiddenSize(16)
            .layers(1)
            .heads(2)
            .kvHeads(1)
            .headDim(8)
            .ffnSize(24)
            .maxPositions(64)
            .tiedHead(true)
            .bosToken(1)
            .eosToken(2)
            .build();
    // With an ε this large an update is in proportion to the gradient.
    AdamW adamW = new AdamW(0.9, 0.95, 1, 0, 1e9);
    try (SupervisedTrainer trainer =
        new SupervisedTrainer(
            backend,
            LanguageModel.random(backend, config, SEED),
            adamW,
            LearningRate.constant(1))) {
      trainer.step(batch);
      return trainer.model().weights().flat().toFloats();
    }
  }
}
