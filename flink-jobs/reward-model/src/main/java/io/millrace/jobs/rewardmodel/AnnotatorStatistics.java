package io.millrace.jobs.rewardmodel;

import io.millrace.model.annotators.AnnotatorAgreement;
import io.millrace.model.annotators.AnnotatorReliability;
import io.millrace.model.annotators.PositionBias;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Provenance;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a reward model finds out about annotators and sources: reliability, position bias, and
 * agreement where people judged the same pair. Scores must be taken before the model learns from
 * the judgment.
 */
final class AnnotatorStatistics {

  /** Annotators, and likewise sources, that are remembered; the one unseen longest is forgotten. */
  private static final int REMEMBERED = 10_000;

  /** Pairs that are remembered to find a second judgment of them. */
  private static final int PAIRS = 16_384;

  /** Judgments before an annotator counts in the metrics of the lowest and the largest. */
  private static final int ENOUGH = 20;

  /** Annotators in {@link #byAnnotator}: those with the most judgments. */
  private static final int LISTED = 1000;

  private final int window;
  private final Map<String, Judge> annotators = new LinkedHashMap<>();
  private final Map<String, Judge> sources = new LinkedHashMap<>();
  private final AnnotatorAgreement agreement = new AnnotatorAgreement(JudgedPair.CATEGORIES, PAIRS);
  private long goldTasks;
  private long goldTasksRight;
  private long forgotten;

  /** An annotator or a source. */
  private record Judge(AnnotatorReliability reliability, PositionBias position) {

    /**
     * Counts a judgment.
     *
     * @param a whether response A was chosen
     * @param p probability that the chosen response is the better one
     */
    void add(boolean a, double p) {
      double chosen = AnnotatorReliability.choice(p, reliability.mean());
      position.add(a, a ? chosen : 1 - chosen);
      reliability.add(p);
    }
  }

  /**
   * @param window see {@link AnnotatorReliability}
   */
  AnnotatorStatistics(int window) {
    this.window = window;
  }

  /**
   * Counts a judgment by what the reward model, and others who judged the same pair, expect.
   *
   * @param preferred score of the preferred response
   * @param rejected score of the other response
   */
  void add(Judgment judgment, double preferred, double rejected) {
    JudgedPair pair = JudgedPair.of(judgment);
    double p = AnnotatorReliability.expected(preferred - rejected);
    for (AnnotatorAgreement.Rating rating : agreement.ratings(pair.key())) {
      if (!rating.annotator().equals(judgment.getAnnotator())) {
        p =
            AnnotatorReliability.withVote(
                p,
                of(rating.annotator()).mean(),
                JudgedPair.prefersFirst(rating.category()) == pair.prefersFirst(judgment));
      }
    }
    if (!judgment.getAnnotator().isEmpty()) {
      agreement.add(pair.key(), judgment.getAnnotator(), pair.category(judgment));
    }
    count(judgment, p);
  }

  /** Counts a judgment of a gold task. */
  void addGoldTask(Judgment judgment, boolean right) {
    goldTasks++;
    goldTasksRight += right ? 1 : 0;
    count(judgment, right ? 1 : 0);
  }

  private void count(Judgment judgment, double p) {
    // A person who corrects a judgment made one judgment, which counted when it came.
    if (Provenance.revision(judgment) > 0) {
      return;
    }
    boolean a = judgment.getPreferred() == Preferred.A;
    if (!judgment.getAnnotator().isEmpty()) {
      seen(annotators, judgment.getAnnotator()).add(a, p);
    }
    seen(sources, judgment.getSource()).add(a, p);
  }

  private Judge seen(Map<String, Judge> judges, String name) {
    Judge judge = judges.remove(name);
    judges.put(name, judge == null ? newJudge() : judge);
    if (judges.size() > REMEMBERED) {
      judges.remove(judges.keySet().iterator().next());
      forgotten++;
    }
    return judges.get(name);
  }

  private Judge newJudge() {
    return new Judge(new AnnotatorReliability(window), new PositionBias());
  }

  private AnnotatorReliability of(String annotator) {
    Judge judge = annotators.get(annotator);
    return judge == null ? new AnnotatorReliability(window) : judge.reliability();
  }

  /** The reliability of an annotator; of the source where no annotator is named. */
  double reliability(String annotator, String source) {
    if (!annotator.isEmpty()) {
      return of(annotator).mean();
    }
    Judge judge = sources.get(source);
    return (judge == null ? newJudge() : judge).reliability().mean();
  }

  /** Forgets a person. */
  void remove(String annotator) {
    annotators.remove(annotator);
    agreement.remove(annotator);
  }

  /** The reliability of each source, by name. */
  Map<String, AnnotatorReliability> sources() {
    Map<String, AnnotatorReliability> all = new TreeMap<>();
    sources.forEach((name, source) -> all.put(name, source.reliability()));
    return all;
  }

  /** Metrics without names of people. */
  Map<String, Double> byName() {
    List<Judge> known =
        annotators.values().stream()
            .filter(annotator -> annotator.reliability().judgments() >= ENOUGH)
            .toList();
    List<Double> means = known.stream().map(annotator -> annotator.reliability().mean()).toList();
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("annotators/count", (double) annotators.size());
    metrics.put("annotators/forgotten", (double) forgotten);
    metrics.put(
        "annotators/reliability_mean",
        means.stream().mapToDouble(mean -> mean).average().orElse(Double.NaN));
    metrics.put(
        "annotators/reliability_lowest",
        means.stream().mapToDouble(mean -> mean).min().orElse(Double.NaN));
    metrics.put(
        "annotators/weightless",
        (double) means.stream().filter(mean -> AnnotatorReliability.weight(mean) == 0).count());
    metrics.put(
        "annotators/position_bias_largest",
        known.stream()
            .mapToDouble(annotator -> Math.abs(annotator.position().bias()))
            .max()
            .orElse(Double.NaN));
    metrics.put("agreement/pairs", (double) agreement.overlapping());
    metrics.put("agreement/alpha", agreement.alpha());
    metrics.put("agreement/ac2", agreement.ac2());
    metrics.put("gold_tasks/judgments", (double) goldTasks);
    metrics.put("gold_tasks/accuracy", (double) goldTasksRight / goldTasks);
    metrics.values().removeIf(value -> value.isNaN());
    return metrics;
  }

  /**
   * Metrics by person and by source: {@code annotator/NAME/reliability}, and likewise {@code
   * judgments}, {@code weight}, {@code position_bias} and {@code position_error}.
   */
  Map<String, Double> byAnnotator() {
    Map<String, Double> metrics = new TreeMap<>();
    put(metrics, "annotator/", annotators);
    put(metrics, "source/", sources);
    return metrics;
  }

  private static void put(Map<String, Double> metrics, String kind, Map<String, Judge> judges) {
    judges.entrySet().stream()
        .sorted(
            Comparator.comparingLong(
                    (Map.Entry<String, Judge> entry) -> entry.getValue().position().judgments())
                .reversed())
        .limit(LISTED)
        .forEach(
            entry -> {
              String name = kind + entry.getKey() + "/";
              PositionBias position = entry.getValue().position();
              double mean = entry.getValue().reliability().mean();
              metrics.put(name + "judgments", (double) position.judgments());
              metrics.put(name + "reliability", mean);
              metrics.put(name + "weight", AnnotatorReliability.weight(mean));
              metrics.put(name + "position_bias", position.bias());
              metrics.put(name + "position_error", position.standardError());
            });
  }

  /** An annotator's or a source's part of the state. */
  record JudgeState(
      String name, AnnotatorReliability.State reliability, PositionBias.State position) {}

  /**
   * What was counted. Annotators and sources are in the order in which they are forgotten.
   *
   * @param goldTasks judgments of gold tasks
   * @param goldTasksRight right judgments of gold tasks
   * @param forgotten annotators and sources that are no longer remembered
   */
  record State(
      List<JudgeState> annotators,
      List<JudgeState> sources,
      AnnotatorAgreement.State agreement,
      long goldTasks,
      long goldTasksRight,
      long forgotten) {}

  State state() {
    return new State(
        states(annotators),
        states(sources),
        agreement.state(),
        goldTasks,
        goldTasksRight,
        forgotten);
  }

  private static List<JudgeState> states(Map<String, Judge> judges) {
    return judges.entrySet().stream()
        .map(
            entry ->
                new JudgeState(
                    entry.getKey(),
                    entry.getValue().reliability().state(),
                    entry.getValue().position().state()))
        .toList();
  }

  void restore(State state) {
    restore(annotators, state.annotators());
    restore(sources, state.sources());
    agreement.restore(state.agreement());
    goldTasks = state.goldTasks();
    goldTasksRight = state.goldTasksRight();
    forgotten = state.forgotten();
  }

  private void restore(Map<String, Judge> judges, List<JudgeState> states) {
    judges.clear();
    for (JudgeState state : states) {
      Judge judge = newJudge();
      judge.reliability().restore(state.reliability());
      judge.position().restore(state.position());
      judges.put(state.name(), judge);
    }
  }
}
