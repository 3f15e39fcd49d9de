package io.millrace.model.supervised;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.DialogueSampler;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.supervised.GhostAttention.Drawn;
import io.millrace.model.supervised.GhostAttention.Instruction;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Turn;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Builds Ghost Attention's demonstrations from dialogues, instructions and the latest policy. */
public final class GhostAttentionBuilder {

  private static final String SOURCE = "ghost-attention";

  private final List<Instruction> instructions;
  private final int mostCombined;
  private final long seed;
  private final InstantSource clock;

  public GhostAttentionBuilder(
      List<Instruction> instructions, int mostCombined, long seed, InstantSource clock) {
    this.instructions = instructions;
    this.mostCombined = mostCombined;
    this.seed = seed;
    this.clock = clock;
  }

  /**
   * What was built.
   *
   * @param blank dialogues left out because an answer was blank, or did not fit
   * @param broken dialogues left out because the learned answer breaks an instruction
   */
  public record Built(List<Demonstration> demonstrations, int blank, int broken) {}

  /**
   * Builds a demonstration from each dialogue: its user turns, with answers of the policy in place
   * of its own. A dialogue with a blank answer is left out, and so is one whose last answer, the
   * one that is learned, does not follow the instructions.
   *
   * @param options for sampling answers
   */
  public Built build(
      LanguageModel policy,
      ChatTemplate template,
      List<List<Message>> dialogues,
      SamplingOptions options) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Drawn> drawn = new ArrayList<>();
    List<List<String>> asked = new ArrayList<>();
    for (List<Message> dialogue : dialogues) {
      Drawn next = GhostAttention.draw(instructions, mostCombined, random);
      drawn.add(next);
      asked.add(GhostAttention.joined(GhostAttention.userTurns(dialogue), next.whileSampling()));
    }
    List<List<Message>> sampled;
    try (DialogueSampler sampler = new DialogueSampler(policy, template, options, seed)) {
      sampled = sampler.sample(asked);
    }
    List<Demonstration> demonstrations = new ArrayList<>();
    int blank = 0;
    int broken = 0;
    for (int i = 0; i < dialogues.size(); i++) {
      if (!isUsable(sampled.get(i))) {
        blank++;
      } else if (!drawn.get(i).holdsIn(sampled.get(i).getLast().content())) {
        broken++;
      } else {
        List<Message> training =
            GhostAttention.trainingDialogue(
                GhostAttention.userTurns(dialogues.get(i)),
                sampled.get(i),
                drawn.get(i).inTraining());
        demonstrations.add(demonstration("ghost-" + seed + "-" + i, training));
      }
    }
    return new Built(List.copyOf(demonstrations), blank, broken);
  }

  private static boolean isUsable(List<Message> sampled) {
    return !sampled.isEmpty() && sampled.stream().noneMatch(turn -> turn.content().isBlank());
  }

  private Demonstration demonstration(String id, List<Message> dialogue) {
    return Demonstration.newBuilder()
        .setId(id)
        .setDialogue(
            dialogue.stream()
                .map(
                    message ->
                        new Turn(
                            message.role() == Role.USER
                                ? io.millrace.schemas.Role.USER
                                : io.millrace.schemas.Role.ASSISTANT,
                            message.content()))
                .toList())
        .setSource(SOURCE)
        .setTime(clock.instant())
        .setFirstLearnedTurn(GhostAttention.firstLearnedTurn(dialogue))
        .build();
  }
}
