package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Watches for the signs of a policy that pleases its reward model and nobody else: a KL to the
 * reference that grows without the score (Gao et al., arXiv 2210.10760, section 3), responses that
 * grow or shrink (Singhal et al., arXiv 2310.03716), entropy that collapses, responses that run
 * into the length limit. The baseline is the mean of the first {@value #BASELINE} batches with an
 * update.
 */
public final class RewardHackingMonitor {

  /** Batches that the baseline is the mean of. */
  public static final int BASELINE = 5;

  private static final double LENGTH_GROWN = 2;
  private static final double LENGTH_SHRUNK = 0.5;
  private static final double ENTROPY_COLLAPSED = 0.25;
  private static final double TRUNCATED = 0.5;

  private final double maxKl;
  private int batches;
  private double baseScore;
  private double baseLength;
  private double baseEntropy;

  /**
   * A monitor with its baseline still to come.
   *
   * @param maxKl nats per response beyond which the policy has left the reference, above 0
   */
  public RewardHackingMonitor(double maxKl) {
    Checks.that(maxKl > 0, "maxKl", maxKl, "above 0");
    this.maxKl = maxKl;
  }

  /**
   * A batch's means.
   *
   * @param score combined, before whitening
   * @param kl to the reference, nats per response
   * @param entropy nats per token; NaN if no update was made, which is when it is measured
   * @param responseTokens per response
   * @param truncatedShare of responses cut at the length limit
   */
  public record Batch(
      double score, double kl, double entropy, double responseTokens, double truncatedShare) {}

  /**
   * What a batch says.
   *
   * @param metrics by name
   * @param alarms what is suspicious, in words; empty where nothing is
   */
  public record Finding(Map<String, Double> metrics, List<String> alarms) {}

  /** Takes a batch and says what it shows. */
  public Finding observe(Batch batch) {
    if (batches < BASELINE && !Double.isNaN(batch.entropy())) {
      batches++;
      baseScore += (batch.score() - baseScore) / batches;
      baseLength += (batch.responseTokens() - baseLength) / batches;
      baseEntropy += (batch.entropy() - baseEntropy) / batches;
    }
    double length = batches == 0 ? 1 : batch.responseTokens() / baseLength;
    // A policy without entropy from the start has none to lose.
    double entropy = baseEntropy == 0 ? 1 : batch.entropy() / baseEntropy;
    List<String> alarms = new ArrayList<>();
    // A KL far below 0 is no estimate of one: the log-probs are wrong.
    if (!(Math.abs(batch.kl()) <= maxKl)) {
      alarms.add("KL %.1f nats per response is beyond %.1f".formatted(batch.kl(), maxKl));
    }
    if (length > LENGTH_GROWN || length < LENGTH_SHRUNK) {
      alarms.add("responses are %.1f times as long as at first".formatted(length));
    }
    if (entropy < ENTROPY_COLLAPSED) {
      alarms.add("entropy is %.2f of what it was at first".formatted(entropy));
    }
    if (batch.truncatedShare() > TRUNCATED) {
      alarms.add(
          "%.0f %% of the responses run into the length limit"
              .formatted(100 * batch.truncatedShare()));
    }
    Map<String, Double> metrics = new LinkedHashMap<>();
    if (batches > 0) {
      metrics.put("monitor/score_gain", batch.score() - baseScore);
      metrics.put("monitor/length_ratio", length);
    }
    if (batches > 0 && !Double.isNaN(entropy)) {
      metrics.put("monitor/entropy_ratio", entropy);
    }
    metrics.put("monitor/alarms", (double) alarms.size());
    return new Finding(metrics, alarms);
  }

  /** The baseline: means of the first batches. */
  public record State(int batches, double score, double responseTokens, double entropy) {}

  public State state() {
    return new State(batches, baseScore, baseLength, baseEntropy);
  }

  public void restore(State state) {
    batches = state.batches();
    baseScore = state.score();
    baseLength = state.responseTokens();
    baseEntropy = state.entropy();
  }
}
