package io.millrace.jobs.rewardmodel;

import io.millrace.model.annotators.AnnotatorReliability;
import io.millrace.model.reward.RewardModelTrainer.Step;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Decides how much a judgment counts by who made it: gold tasks test their annotators, judgments of
 * unreliable sources wait, all others have a weight.
 */
final class Annotators {

  /** Judgments, older ones in part, before a source can be held back or compared with. */
  private static final double ENOUGH = 50;

  /** Probability with which a held source is as unreliable as it seems. */
  private static final double CERTAINTY = 0.999;

  private final Objective objective;
  private final AnnotatorSection section;
  private final GoldTasks goldTasks;
  private final AnnotatorStatistics statistics;
  private final HeldSources heldSources;

  Annotators(Objective objective, AnnotatorSection section, GoldTasks goldTasks) {
    this.objective = objective;
    this.section = section;
    this.goldTasks = goldTasks;
    this.statistics = new AnnotatorStatistics(section.window());
    this.heldSources = new HeldSources(section.releasedSources(), section.heldJudgments());
  }

  /**
   * Takes a judgment of a gold task, which nothing is learned from.
   *
   * @return whether it is one
   */
  boolean takeGoldTask(Judgment judgment) {
    if (judgment.getObjective() != objective) {
      return false;
    }
    Optional<Boolean> right = goldTasks.isRight(judgment);
    right.ifPresent(answer -> statistics.addGoldTask(judgment, answer));
    return right.isPresent();
  }

  /**
   * Takes a judgment of a source that is held back: it waits.
   *
   * @return whether it is one
   */
  boolean holdBack(Judgment judgment) {
    boolean held = heldSources.contains(judgment.getSource());
    if (held) {
      heldSources.add(judgment);
    }
    return held;
  }

  /** The weight of a judgment in the loss, 0 to 1. */
  double weight(Judgment judgment) {
    return weight(judgment.getAnnotator(), judgment.getSource());
  }

  /** The weight of a feedback in the loss, 0 to 1. */
  double weight(Feedback feedback) {
    return weight(feedback.getAnnotator(), feedback.getSource());
  }

  private double weight(String annotator, String source) {
    if (heldSources.contains(source)) {
      return 0; // A replayed judgment, from before the source was held back; or a feedback.
    }
    return switch (section.weighting()) {
      case NONE -> 1;
      case RELIABILITY -> AnnotatorReliability.weight(statistics.reliability(annotator, source));
    };
  }

  /**
   * Counts judgments that were scored and then learned from.
   *
   * @param judgments the first of the step's pairs
   */
  void add(List<Judgment> judgments, Step step) {
    for (int i = 0; i < judgments.size(); i++) {
      if (judgments.get(i).getObjective() == objective) {
        statistics.add(judgments.get(i), step.preferredScores()[i], step.rejectedScores()[i]);
      }
    }
  }

  /**
   * A source that is held back from now on.
   *
   * @param weight of its judgments
   * @param others mean weight of the other sources' judgments
   */
  record Held(String source, double weight, double others) {}

  /** Holds back the sources whose judgments are far below those of the other sources. */
  List<Held> review() {
    List<Held> found = new ArrayList<>();
    Map<String, AnnotatorReliability> sources = statistics.sources();
    sources.keySet().removeIf(heldSources::contains);
    if (sources.size() < 2 || section.holdSourcesBelow() == 0) {
      return found;
    }
    double judgments = 0;
    double weights = 0;
    for (AnnotatorReliability source : sources.values()) {
      judgments += source.judgments();
      weights += source.judgments() * AnnotatorReliability.weight(source.mean());
    }
    for (Map.Entry<String, AnnotatorReliability> entry : sources.entrySet()) {
      AnnotatorReliability source = entry.getValue();
      double ofOthers = judgments - source.judgments();
      if (source.judgments() < ENOUGH
          || ofOthers < ENOUGH
          || !heldSources.mayHold(entry.getKey())) {
        continue;
      }
      double weight = AnnotatorReliability.weight(source.mean());
      double others = (weights - source.judgments() * weight) / ofOthers;
      double bound = AnnotatorReliability.weight(source.quantile(CERTAINTY));
      if (bound < section.holdSourcesBelow() * others) {
        found.add(new Held(entry.getKey(), weight, others));
      }
    }
    found.forEach(held -> heldSources.hold(held.source()));
    return found;
  }

  /**
   * Removes judgments that wait.
   *
   * @return how many were removed
   */
  int removeIf(Predicate<Judgment> removed) {
    return heldSources.removeIf(removed);
  }

  /** Forgets a person. */
  void remove(String annotator) {
    statistics.remove(annotator);
  }

  /** Judgments of sources that were released by hand, in their order. */
  List<Judgment> takeReleased() {
    return heldSources.takeReleased();
  }

  /** Judgments of held-back sources that were dropped, because too many waited. */
  long dropped() {
    return heldSources.dropped();
  }

  /** Metrics without names of people. */
  Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>(statistics.byName());
    metrics.putAll(heldSources.byName());
    return metrics;
  }

  /** Metrics by person and by source; {@code source/NAME/held_back} is 1 for one held back. */
  Map<String, Double> byAnnotator() {
    Map<String, Double> metrics = statistics.byAnnotator();
    heldSources.names().forEach(name -> metrics.put("source/" + name + "/held_back", 1.0));
    return metrics;
  }

  record State(AnnotatorStatistics.State statistics, HeldSources.State heldSources) {}

  State state() {
    return new State(statistics.state(), heldSources.state());
  }

  void restore(State state) {
    statistics.restore(state.statistics());
    heldSources.restore(state.heldSources());
  }
}
