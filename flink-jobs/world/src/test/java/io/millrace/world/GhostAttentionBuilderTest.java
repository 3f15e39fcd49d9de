package io.millrace.world;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.supervised.GhostAttention;
import io.millrace.model.supervised.GhostAttention.Instruction;
import io.millrace.model.supervised.GhostAttentionBuilder;
import io.millrace.model.supervised.GhostAttentionMeasure;
import io.millrace.model.supervised.GhostAttentionMeasure.AtTurn;
import io.millrace.model.supervised.GhostAttentionMeasure.Measured;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Ghost Attention's data and measure on a policy of random weights. */
class GhostAttentionBuilderTest {

  private static final long SEED = 3;
  private static final SamplingOptions OPTIONS = new SamplingOptions(6, 1, 1);

  private final Backend backend = new CpuBackend();
  private Tokenizer tokenizer;
  private LanguageModel policy;

  @BeforeEach
  void open() {
    tokenizer = ByteLevelBpeTrainer.train(List.of("x"), 260).tokenizer();
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(tokenizer.vocabSize())
            .hiddenSize(8)
            .layers(2)
            .heads(2)
            .kvHeads(1)
            .headDim(4)
            .ffnSize(8)
            .maxPositions(640)
            .tiedHead(true)
            .bosToken(tokenizer.bos())
            .eosToken(tokenizer.eos())
            .build();
    policy = LanguageModel.random(backend, config, SEED);
  }

  @AfterEach
  void close() {
    policy.close();
    tokenizer.close();
    backend.close();
  }

  @Test
  void demonstrationsHaveTheInstructionInTheFirstTurnOnlyAndTheLossOnTheLastAnswer() {
    List<List<Message>> dialogues = new GhostWorld(SEED).dialogues("test", 12, 2, 4);
    List<Instruction> instructions = lenient();
    GhostAttentionBuilder.Built all =
        new GhostAttentionBuilder(instructions, 2, SEED, () -> Instant.EPOCH)
            .build(policy, ChatTemplate.of(tokenizer), dialogues, OPTIONS);
    List<Demonstration> built = all.demonstrations();
    assertTrue(built.size() > 3, all.toString());
    assertTrue(all.broken() > 0, "a random policy breaks instructions: " + all);
    assertEquals(12, built.size() + all.blank() + all.broken());
    int shortened = 0;
    for (Demonstration demonstration : built) {
      assertEquals(List.of(), Validation.problems(demonstration));
      List<Turn> turns = demonstration.getDialogue();
      assertEquals(turns.size() - 1, demonstration.getFirstLearnedTurn());
      int number = Integer.parseInt(demonstration.getId().replaceAll(".*-", ""));
      List<String> asked = GhostAttention.userTurns(dialogues.get(number));
      String first = turns.getFirst().getContent();
      assertTrue(first.endsWith(" " + asked.getFirst()), first);
      assertTrue(
          instructions.stream()
              .anyMatch(i -> first.startsWith(i.text()) || first.startsWith(i.shortened())),
          first);
      shortened += first.contains("Always") ? 0 : 1;
      for (int turn = 2; turn < turns.size(); turn += 2) {
        assertEquals(Role.USER, turns.get(turn).getRole());
        assertEquals(asked.get(turn / 2), turns.get(turn).getContent());
      }
    }
    assertTrue(shortened > 0 && shortened < built.size(), shortened + " of " + built.size());
  }

  /** Random bytes are seldom text: a policy of random weights follows the first, and no other. */
  private static List<Instruction> lenient() {
    return List.of(
        new Instruction("b", "Always write bytes.", "Bytes.", "\uFFFD"),
        new Instruction("w", "Always write words.", "Words.", "some words"));
  }

  @Test
  void noLearnedAnswerBreaksAnInstruction() {
    List<List<Message>> dialogues = new GhostWorld(SEED).dialogues("test", 40, 2, 2);
    List<Demonstration> built =
        new GhostAttentionBuilder(lenient(), 1, SEED, () -> Instant.EPOCH)
            .build(policy, ChatTemplate.of(tokenizer), dialogues, OPTIONS)
            .demonstrations();
    assertTrue(!built.isEmpty(), "no demonstration of 40");
    for (Demonstration demonstration : built) {
      String first = demonstration.getDialogue().getFirst().getContent();
      assertTrue(first.startsWith("Always write bytes.") || first.startsWith("Bytes."), first);
      String learned = demonstration.getDialogue().getLast().getContent();
      assertTrue(learned.contains("\uFFFD"), learned);
    }
    Instruction never = new Instruction("n", "Say it.", "It.", "no policy says this");
    GhostAttentionBuilder.Built none =
        new GhostAttentionBuilder(List.of(never), 1, SEED, () -> Instant.EPOCH)
            .build(policy, ChatTemplate.of(tokenizer), dialogues, OPTIONS);
    assertEquals(List.of(), none.demonstrations());
    assertEquals(40, none.broken() + none.blank());
  }

  @Test
  void theMeasureCountsTheDialoguesThatHadRoom() {
    List<List<Message>> dialogues = new GhostWorld(SEED).dialogues("test", 4, 20, 20);
    Instruction never = new Instruction("g", "Say it.", "It.", "no policy says this");
    Measured measured =
        new GhostAttentionMeasure(List.of(never), dialogues, OPTIONS, SEED)
            .measure(policy, ChatTemplate.of(tokenizer));
    // One token a byte: 640 positions hold some ten exchanges of about fifty bytes.
    assertTrue(measured.holds().size() >= 2 && measured.holds().size() < 10, measured.toString());
    AtTurn first = measured.holds().getFirst();
    assertEquals(new AtTurn(2, 4, 0), first);
    assertEquals(0, measured.at(4));
  }

  @Test
  void aPolicyWithoutQueriesAttendsToEverythingAlike() {
    policy.weights().get("model.layers.1.self_attn.q_proj.weight").write(0, new float[64], 0, 64);
    int[] sequence = tokenizer.encode("some text");
    float[][] attention = policy.attentionOfLastToken(sequence);
    for (float weight : attention[1]) {
      assertEquals(1f / sequence.length, weight, 1e-6);
    }
    double sum = 0;
    boolean alike = true;
    for (float weight : attention[0]) {
      sum += weight;
      alike &= Math.abs(weight - 1f / sequence.length) < 1e-6;
    }
    assertEquals(1, sum, 1e-5);
    assertFalse(alike);
  }
}
