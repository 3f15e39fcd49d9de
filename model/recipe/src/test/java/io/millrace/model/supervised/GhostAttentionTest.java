package io.millrace.model.supervised;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.supervised.GhostAttention.Drawn;
import io.millrace.model.supervised.GhostAttention.Instruction;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class GhostAttentionTest {

  private static final long SEED = 4;
  private static final Instruction AHOY = new Instruction("a", "Say ahoy.", "Ahoy.", "ahoy");
  private static final Instruction OHO = new Instruction("a", "Say oho.", "Oho.", "oho");
  private static final Instruction BYE = new Instruction("b", "End with bye.", "Bye.", "bye");

  /** What the policy answered while the instruction stood in every turn. */
  private static final List<Message> SAMPLED =
      List.of(
          Message.user("Say ahoy. hi"),
          Message.assistant("ahoy"),
          Message.user("Say ahoy. go"),
          Message.assistant("ahoy on"));

  @Test
  void theInstructionIsJoinedToEveryTurnWhileSampling() {
    assertEquals(
        List.of("Say ahoy. hi", "Say ahoy. go"),
        GhostAttention.joined(List.of("hi", "go"), AHOY.text()));
  }

  @Test
  void trainingHasTheInstructionInTheFirstTurnAndTheSampledAnswers() {
    assertEquals(
        List.of(
            Message.user("Ahoy. hi"),
            Message.assistant("ahoy"),
            Message.user("go"),
            Message.assistant("ahoy on")),
        GhostAttention.trainingDialogue(List.of("hi", "go"), SAMPLED, AHOY.shortened()));
  }

  /** Under each token, spelled as one character (B bos, E eos), stands 1 where it is learned. */
  @Test
  void onlyTheLastAnswerIsLearned() {
    try (Tokenizer bytes = ByteLevelBpeTrainer.train(List.of("x"), 260).tokenizer()) {
      List<Message> dialogue =
          GhostAttention.trainingDialogue(List.of("hi", "go"), SAMPLED, AHOY.text());
      Example example =
          SupervisedExamples.answers(
              ChatTemplate.of(bytes), dialogue, GhostAttention.firstLearnedTurn(dialogue));
      StringBuilder tokens = new StringBuilder();
      StringBuilder learned = new StringBuilder();
      for (int i = 0; i < example.tokens().length; i++) {
        int token = example.tokens()[i];
        tokens.append(
            token == bytes.bos()
                ? "B"
                : token == bytes.eos() ? "E" : bytes.decode(new int[] {token}));
        learned.append(example.loss()[i] ? '1' : '0');
      }
      assertEquals(
          "B[INST] Say ahoy. hi [/INST] ahoy EB[INST] go [/INST] ahoy on E\n"
              + "000000000000000000000000000000000000000000000000000001111111111",
          tokens + "\n" + learned);
    }
  }

  @Test
  void instructionsOfDifferentGroupsAreCombinedAndHalfAreShortened() {
    SplittableRandom random = new SplittableRandom(SEED);
    Set<String> combinations = new HashSet<>();
    int shortened = 0;
    for (int i = 0; i < 2000; i++) {
      Drawn drawn = GhostAttention.draw(List.of(AHOY, OHO, BYE), 2, random);
      combinations.add(
          String.join(
              "+", drawn.instructions().stream().map(Instruction::expected).sorted().toList()));
      shortened += drawn.shortened() ? 1 : 0;
    }
    assertEquals(Set.of("ahoy", "oho", "bye", "ahoy+bye", "bye+oho"), combinations);
    assertEquals(1000, shortened, 70, "seed " + SEED);
    Drawn both = new Drawn(List.of(AHOY, BYE), true);
    assertEquals("Say ahoy. End with bye.", both.whileSampling());
    assertEquals("Ahoy. Bye.", both.inTraining());
    assertTrue(both.holdsIn("Ahoy, it is done. Bye"));
    assertFalse(both.holdsIn("Ahoy, it is done."));
  }
}
