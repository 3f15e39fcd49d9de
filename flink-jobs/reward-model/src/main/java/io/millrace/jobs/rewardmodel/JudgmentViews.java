package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.RecentJudgments;
import io.millrace.model.reward.Reliability;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * How often a reward model agrees with annotators on parts of the judgments: recent ones, responses
 * of the newest policy, and texts that it did or did not learn from before. Scores must be taken
 * before the model learns from the judgment.
 */
final class JudgmentViews {

  /** Judgments of the window. */
  private static final int RECENT = 512;

  private final Objective objective;
  private final RecentJudgments recent = new RecentJudgments(RECENT);
  private final SeenTexts texts = new SeenTexts();
  private Tally seen = Tally.NONE;
  private Tally unseen = Tally.NONE;
  private Tally ofPolicies = Tally.NONE;
  private Tally ofNewest = Tally.NONE;
  private long newest;

  /**
   * Judgments of one part.
   *
   * @param agreed judgments that the model agrees with; equal scores count half
   */
  record Tally(long judgments, double agreed) {
    static final Tally NONE = new Tally(0, 0);

    Tally plus(double difference) {
      return new Tally(judgments + 1, agreed + Reliability.correct(difference));
    }

    private void put(Map<String, Double> metrics, String part) {
      metrics.put(part + "/judgments", (double) judgments);
      metrics.put(part + "/accuracy", agreed / judgments);
    }
  }

  JudgmentViews(Objective objective) {
    this.objective = objective;
  }

  /**
   * Counts a judgment; one of the other objective only as a text that is learned from.
   *
   * @param preferred score of the preferred response
   * @param rejected score of the other response
   */
  void add(Judgment judgment, double preferred, double rejected) {
    if (judgment.getObjective() == objective) {
      double difference = preferred - rejected;
      recent.add(difference);
      if (texts.contains(judgment)) {
        seen = seen.plus(difference);
      } else {
        unseen = unseen.plus(difference);
      }
      addOfPolicy(judgment, difference);
    }
    texts.add(judgment);
  }

  /** A response of a person, or of another model, has no policy version. */
  private void addOfPolicy(Judgment judgment, double difference) {
    List<Long> versions =
        Stream.of(judgment.getResponseA(), judgment.getResponseB())
            .map(response -> response.getPolicyVersion())
            .filter(version -> version != null)
            .toList();
    if (versions.isEmpty()) {
      return;
    }
    ofPolicies = ofPolicies.plus(difference);
    long version = versions.stream().mapToLong(Long::longValue).max().orElseThrow();
    if (version > newest) {
      newest = version;
      ofNewest = Tally.NONE;
    }
    if (version == newest) {
      ofNewest = ofNewest.plus(difference);
    }
  }

  /** All metrics that have a value, by name. */
  Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("recent/judgments", (double) recent.size());
    metrics.put("recent/accuracy", recent.accuracy());
    Reliability reliability = recent.reliability();
    metrics.put("recent/brier", reliability.brier());
    metrics.put("recent/ece", reliability.expectedCalibrationError());
    seen.put(metrics, "seen");
    unseen.put(metrics, "unseen");
    ofPolicies.put(metrics, "policy_samples");
    if (ofNewest.judgments() > 0) {
      ofNewest.put(metrics, "newest_policy");
      metrics.put("newest_policy/version", (double) newest);
    }
    metrics.values().removeIf(value -> value.isNaN());
    return metrics;
  }

  record State(
      RecentJudgments.State recent,
      List<Long> texts,
      Tally seen,
      Tally unseen,
      Tally ofPolicies,
      Tally ofNewest,
      long newest) {}

  State state() {
    return new State(recent.state(), texts.state(), seen, unseen, ofPolicies, ofNewest, newest);
  }

  void restore(State state) {
    recent.restore(state.recent());
    texts.restore(state.texts());
    seen = state.seen();
    unseen = state.unseen();
    ofPolicies = state.ofPolicies();
    ofNewest = state.ofNewest();
    newest = state.newest();
  }
}
