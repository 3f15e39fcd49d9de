package io.millrace.jobs.rewardmodel;

import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.AnchoredScores;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Provenance;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * The responses that every version of a reward model is measured on. They come from a file, or are
 * drawn once: from the first judgments that the model learns from, until there are enough or a
 * version is published.
 */
final class AnchorResponses {

  private static final String MEAN = "anchors/mean";

  private final Objective objective;
  private final PiecewiseReward rule;
  private final int limit;
  private final double alarmShift;

  // State.
  private final List<int[]> sequences = new ArrayList<>();

  /** Of each judgment, which has two sequences. */
  private final List<Provenance> judgments = new ArrayList<>();

  private boolean fixed;
  private Map<String, Double> latest = new TreeMap<>();

  /**
   * @param count judgments whose two responses are drawn, at most
   * @param alarmShift {@link RewardModelSection#alarmAnchorShift}
   */
  AnchorResponses(Objective objective, PiecewiseReward rule, int count, double alarmShift) {
    this.objective = objective;
    this.rule = rule;
    this.alarmShift = alarmShift;
    this.limit = 2 * count;
  }

  /** Takes all responses of a file: no others are drawn. */
  void fix(List<Judgment> all, Function<Judgment, Pair> tokens) {
    all.forEach(judgment -> add(judgment, tokens.apply(judgment)));
    fixed = true;
  }

  /** Draws both responses of a judgment, while there are too few. */
  void offer(Judgment judgment, Pair pair) {
    if (!fixed) {
      add(judgment, pair);
      fixed = sequences.size() >= limit;
    }
  }

  private void add(Judgment judgment, Pair pair) {
    sequences.add(pair.preferred());
    sequences.add(pair.rejected());
    judgments.add(Provenance.of(judgment));
  }

  /** Puts the responses of a judgment in the place of those of its earlier revisions. */
  void revise(Judgment judgment, Function<Judgment, Pair> tokens) {
    Provenance next = Provenance.of(judgment);
    for (int i = 0; i < judgments.size(); i++) {
      if (judgments.get(i).isRevisedBy(next)) {
        Pair pair = tokens.apply(judgment);
        judgments.set(i, next);
        sequences.set(2 * i, pair.preferred());
        sequences.set(2 * i + 1, pair.rejected());
        latest.remove(MEAN);
      }
    }
  }

  /**
   * Removes the responses of judgments. No others are drawn in their place, unless all are gone.
   * The next version reports no shift, since its anchors are not those of the version before.
   *
   * @return how many judgments were removed
   */
  int removeIf(Predicate<Provenance> removed) {
    int count = 0;
    for (int i = judgments.size() - 1; i >= 0; i--) {
      if (removed.test(judgments.get(i))) {
        judgments.remove(i);
        sequences.subList(2 * i, 2 * i + 2).clear();
        count++;
      }
    }
    if (count > 0) {
      latest.remove(MEAN);
      fixed &= !sequences.isEmpty();
    }
    return count;
  }

  /**
   * Measures a version that is published.
   *
   * @return how its scores are anchored; empty if no judgment came that could be an anchor
   */
  Optional<ScoreScale> measure(ScalarModel model) {
    fixed = true;
    if (sequences.isEmpty()) {
      return Optional.empty();
    }
    float[] heads = Scoring.headScores(model, sequences);
    float[] scores = ScalarModel.means(heads, model.heads());
    Double before = latest.get(MEAN);
    double mean = AnchoredScores.mean(scores);
    latest = new TreeMap<>();
    latest.put(MEAN, mean);
    latest.put("anchors/deviation", AnchoredScores.deviation(scores));
    latest.put("anchors/count", (double) scores.length);
    if (before != null) {
      latest.put("anchors/shift", mean - before);
    }
    latest.put("monitor/alarm_anchor_shift", isAlarming() ? 1.0 : 0.0);
    ScoreScale scale =
        (objective == Objective.SAFETY
                ? AnchoredScores.safety(scores, rule)
                : AnchoredScores.helpfulness(scores))
            .withHeadOffsets(AnchoredScores.headOffsets(heads, model.heads()));
    if (model.heads() > 1) {
      latest.put("anchors/disagreement", disagreement(scale, heads, scores));
    }
    return Optional.of(scale);
  }

  /** Mean over the anchors of the deviation of the heads' anchored scores. */
  private static double disagreement(ScoreScale scale, float[] heads, float[] means) {
    int count = heads.length / means.length;
    double sum = 0;
    for (int i = 0; i < means.length; i++) {
      float[] own = Arrays.copyOfRange(heads, i * count, (i + 1) * count);
      sum += AnchoredScores.deviation(scale.anchored(own, means[i]));
    }
    return sum / means.length;
  }

  /**
   * The version that was published last, on the anchors: number of anchors, mean and deviation of
   * its own scores, and by how much the mean moved since the version before. Empty before the first
   * version.
   */
  Map<String, Double> metrics() {
    return latest;
  }

  /** By how much the mean score moved since the version before; 0 for the first. */
  double shift() {
    return latest.getOrDefault("anchors/shift", 0.0);
  }

  /**
   * Whether it moved too far. Safety scores are probabilities: where they move, the threshold means
   * something else.
   */
  boolean isAlarming() {
    return objective == Objective.SAFETY && Math.abs(shift()) > alarmShift;
  }

  /**
   * The anchors.
   *
   * @param sequences prompt and response of each, in tokens
   * @param fixed whether no more are drawn
   * @param latest {@link #metrics}
   * @param judgments that each two sequences are of; null in states of earlier builds
   */
  record State(
      List<int[]> sequences,
      boolean fixed,
      Map<String, Double> latest,
      @Nullable @AvroDefault("null") List<Provenance> judgments) {}

  State state() {
    return new State(List.copyOf(sequences), fixed, latest, List.copyOf(judgments));
  }

  void restore(State state) {
    sequences.clear();
    sequences.addAll(state.sequences());
    fixed = state.fixed();
    latest = new TreeMap<>(state.latest());
    judgments.clear();
    if (state.judgments() != null) {
      judgments.addAll(state.judgments());
    }
    while (2 * judgments.size() < sequences.size()) {
      judgments.add(Provenance.UNKNOWN);
    }
  }
}
