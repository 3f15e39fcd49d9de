package io.millrace.jobs.ppo;

import io.millrace.jobs.models.PolicyModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compares the log-probs in a few rollouts of a batch with the policy's own log-probs of the same
 * responses. The policy must have the weights of the version that sampled the rollouts. A
 * difference beyond rounding means that another model, or another temperature, sampled them.
 */
final class LogProbCheck {

  private static final Logger LOG = LoggerFactory.getLogger(LogProbCheck.class);

  /** Rollouts of a batch that are compared. */
  private static final int COMPARED = 4;

  /**
   * Mean difference in nats per token up to which log-probs are the policy's own. Two float32
   * computations of a model differ by some 1e-6, a sampler in bfloat16 by some 1e-2.
   */
  private static final double ROUNDING = 1e-4;

  private static final String DIFFERENCE = "val/log_prob_difference";

  private final double bound;
  private final float temperature;

  /**
   * @param bound mean difference in nats per token above which an alarm is raised
   * @param temperature at which the rollouts were sampled
   */
  LogProbCheck(double bound, float temperature) {
    this.bound = bound;
    this.temperature = temperature;
  }

  /**
   * Whether the compared log-probs were those of the policy, up to rounding in float32; true where
   * none was compared.
   *
   * @param metrics of {@link #compare}
   */
  static boolean areExact(Map<String, Double> metrics) {
    return metrics.getOrDefault(DIFFERENCE, 0.0) <= ROUNDING;
  }

  /**
   * Compares rollouts of one version.
   *
   * @param policy the current one, of that version's weights
   * @param version of the policy; rollouts of other versions are left out
   * @return metrics by name; none if the batch has no rollout of the version
   */
  Map<String, Double> compare(PolicyModel policy, List<ScoredRollout> batch, long version) {
    List<ScoredRollout> fresh =
        batch.stream().filter(rollout -> rollout.policyVersion() == version).toList();
    List<ScoredRollout> compared = new ArrayList<>();
    for (int i = 0; i < Math.min(COMPARED, fresh.size()); i++) {
      compared.add(fresh.get(i * fresh.size() / Math.min(COMPARED, fresh.size())));
    }
    if (compared.isEmpty()) {
      return Map.of();
    }
    List<int[]> sequences = new ArrayList<>();
    int[] promptLengths = new int[compared.size()];
    List<Float> sampled = new ArrayList<>();
    for (int i = 0; i < promptLengths.length; i++) {
      int[] prompt = ScoredRollout.ints(compared.get(i).rollout().getPromptTokens());
      sequences.add(
          TokenArrays.join(
              prompt, ScoredRollout.ints(compared.get(i).rollout().getResponseTokens())));
      promptLengths[i] = prompt.length;
      sampled.addAll(compared.get(i).rollout().getLogProbs());
    }
    float[] own =
        policy
            .model()
            .infer(sequences, Targets.from(sequences, promptLengths), temperature)
            .logProbs();
    double sum = 0;
    double largest = 0;
    for (int i = 0; i < own.length; i++) {
      double difference = Math.abs((double) own[i] - sampled.get(i));
      sum += difference;
      largest = Math.max(largest, difference);
    }
    double mean = sum / own.length;
    boolean alarm = !(mean <= bound);
    if (alarm) {
      LOG.warn(
          "The log-probs of rollouts such as {} differ by {} nats per token from those of policy"
              + " version {}, which is said to have sampled them (ppo.alarm-log-prob-difference"
              + " {})",
          compared.getFirst().rollout().getRolloutId(),
          mean,
          version,
          bound);
    }
    return Map.of(
        DIFFERENCE,
        mean,
        "val/log_prob_difference_max",
        largest,
        "monitor/log_prob_alarm",
        alarm ? 1.0 : 0.0);
  }
}
