package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.models.HeldOut;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.RecentJudgments;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.schemas.Judgment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * The latest judgments of held-out dialogues. The reward model never learns from them; every
 * version that is published scores them.
 */
final class HeldOutJudgments {

  /** Judgments that are kept; the oldest is dropped first. */
  private static final int KEPT = 256;

  private final HeldOut heldOut;
  private final Deque<Judgment> kept = new ArrayDeque<>();
  private long withheld;
  private Map<String, Double> latest = new TreeMap<>();

  HeldOutJudgments(HeldOut heldOut) {
    this.heldOut = heldOut;
  }

  /**
   * Takes a judgment of a held-out dialogue.
   *
   * @return whether it is one, and must not be learned from
   */
  boolean take(Judgment judgment) {
    if (!heldOut.contains(judgment.getDialogue())) {
      return false;
    }
    withheld++;
    kept.addLast(judgment);
    if (kept.size() > KEPT) {
      kept.removeFirst();
    }
    return true;
  }

  /**
   * Removes judgments.
   *
   * @return how many were removed
   */
  int removeIf(Predicate<Judgment> removed) {
    int before = kept.size();
    kept.removeIf(removed);
    return before - kept.size();
  }

  /** Measures a version that is published. */
  void measure(ScalarModel model, Function<Judgment, Pair> tokens) {
    if (kept.isEmpty()) {
      return;
    }
    List<Pair> pairs = kept.stream().map(tokens).toList();
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : pairs) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
    }
    float[] scores = Scoring.score(model, sequences);
    RecentJudgments differences = new RecentJudgments(pairs.size());
    for (int i = 0; i < scores.length; i += 2) {
      differences.add(scores[i] - (double) scores[i + 1]);
    }
    latest = new TreeMap<>();
    latest.put("held_out/judgments", (double) pairs.size());
    latest.put("held_out/accuracy", differences.accuracy());
    latest.put("held_out/brier", differences.reliability().brier());
    latest.put("held_out/ece", differences.reliability().expectedCalibrationError());
  }

  /** The version that was published last, on these judgments; and how many were withheld. */
  Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>(latest);
    metrics.put("held-out", (double) withheld);
    return metrics;
  }

  record State(List<Judgment> kept, long withheld, Map<String, Double> latest) {}

  State state() {
    return new State(List.copyOf(kept), withheld, latest);
  }

  void restore(State state) {
    kept.clear();
    kept.addAll(state.kept());
    withheld = state.withheld();
    latest = new TreeMap<>(state.latest());
  }
}
