package io.millrace.model.supervised;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.DialogueSampler;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.supervised.GhostAttention.Drawn;
import io.millrace.model.supervised.GhostAttention.Instruction;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures for how many turns a policy follows an instruction of the first turn (Llama 2, arXiv
 * 2307.09288, section 3.3 and appendix A.3.5), and how much it attends to the instruction (figure
 * 10).
 */
public final class GhostAttentionMeasure {

  /** The share is measured at turns 2, 4, …, 20. */
  public static final int LAST_TURN = 20;

  /** Attention is measured here: far from the instruction, and within most models' positions. */
  private static final int ATTENTION_TURN = 10;

  private final List<Instruction> instructions;
  private final List<List<Message>> dialogues;
  private final SamplingOptions options;
  private final long seed;

  public GhostAttentionMeasure(
      List<Instruction> instructions,
      List<List<Message>> dialogues,
      SamplingOptions options,
      long seed) {
    this.instructions = instructions;
    this.dialogues = dialogues;
    this.options = options;
    this.seed = seed;
  }

  /**
   * Measurements of one policy.
   *
   * @param holds shares of dialogues whose answer follows the instruction, by turn
   * @param attentionByLayer the attention weight of the last prompt token of turn 10 on all tokens
   *     of the instruction together, mean over heads and dialogues, by layer
   */
  public record Measured(List<AtTurn> holds, List<Double> attentionByLayer) {

    /** The share at a turn. */
    public double at(int turn) {
      return holds.stream()
          .filter(point -> point.turn() == turn)
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "turn %d was not measured; measured turns: %s"
                          .formatted(turn, holds.stream().map(AtTurn::turn).toList())))
          .share();
    }
  }

  /**
   * A point of the curve.
   *
   * @param dialogues number of dialogues that had room for an answer at this turn
   * @param share of these dialogues whose answer follows the instruction
   */
  public record AtTurn(int turn, int dialogues, double share) {}

  /** Samples answers to all dialogues, each with an instruction in its first turn only. */
  public Measured measure(LanguageModel policy, ChatTemplate template) {
    List<List<String>> asked = new ArrayList<>();
    for (int i = 0; i < dialogues.size(); i++) {
      asked.add(
          GhostAttention.inFirstTurn(
              GhostAttention.userTurns(dialogues.get(i)), drawn(i).whileSampling()));
    }
    List<List<Message>> answered;
    try (DialogueSampler sampler = new DialogueSampler(policy, template, options, seed)) {
      answered = sampler.sample(asked);
    }
    List<AtTurn> points = new ArrayList<>();
    for (int turn = 2; turn <= LAST_TURN; turn += 2) {
      int count = 0;
      int holds = 0;
      for (int i = 0; i < answered.size(); i++) {
        if (answered.get(i).size() >= 2 * turn) {
          count++;
          holds += drawn(i).holdsIn(answered.get(i).get(2 * turn - 1).content()) ? 1 : 0;
        }
      }
      if (count > 0) {
        points.add(new AtTurn(turn, count, (double) holds / count));
      }
    }
    return new Measured(points, attention(policy, template, answered));
  }

  /** The instructions take turns, one for each dialogue. */
  private Drawn drawn(int dialogue) {
    return new Drawn(List.of(instructions.get(dialogue % instructions.size())), false);
  }

  private List<Double> attention(
      LanguageModel policy, ChatTemplate template, List<List<Message>> answered) {
    double[] sums = new double[policy.config().layers()];
    int count = 0;
    for (int i = 0; i < answered.size(); i++) {
      if (answered.get(i).size() >= 2 * ATTENTION_TURN) {
        List<Message> prompt = answered.get(i).subList(0, 2 * ATTENTION_TURN - 1);
        List<Message> without = new ArrayList<>(prompt);
        without.set(0, Message.user(GhostAttention.userTurns(dialogues.get(i)).getFirst()));
        int[] tokens = template.promptTokens(prompt);
        int[] bare = template.promptTokens(without);
        int from = commonPrefix(tokens, bare);
        float[][] weights = policy.attentionOfLastToken(tokens);
        for (int layer = 0; layer < sums.length; layer++) {
          for (int t = from; t < from + tokens.length - bare.length; t++) {
            sums[layer] += weights[layer][t];
          }
        }
        count++;
      }
    }
    List<Double> means = new ArrayList<>();
    for (double sum : sums) {
      means.add(count == 0 ? 0 : sum / count);
    }
    return means;
  }

  private static int commonPrefix(int[] a, int[] b) {
    int length = 0;
    while (length < b.length && a[length] == b[length]) {
      length++;
    }
    return length;
  }
}
