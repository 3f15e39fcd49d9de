package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.WinRate;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An evaluation in progress: of a new version, or a recheck of the served version after new reward
 * models came.
 */
final class Evaluation {

  private static final Logger LOG = LoggerFactory.getLogger(Evaluation.class);

  private final EvaluatedVersion subject;
  private final boolean recheck;
  private final List<VersionComparison> comparisons = new ArrayList<>();
  private String judgeFailure = "";

  private Evaluation(EvaluatedVersion subject, boolean recheck) {
    this.subject = subject;
    this.recheck = recheck;
  }

  static Evaluation ofNew(EvaluatedVersion version) {
    return new Evaluation(version, false);
  }

  static Evaluation recheck(EvaluatedVersion served) {
    return new Evaluation(served, true);
  }

  /** The version that is evaluated. */
  EvaluatedVersion subject() {
    return subject;
  }

  boolean isRecheck() {
    return recheck;
  }

  /** Why the judge failed; empty if it did not. */
  String judgeFailure() {
    return judgeFailure;
  }

  boolean hasComparisons() {
    return !comparisons.isEmpty();
  }

  /** Adds a comparison of the subject with another version. */
  void compareWith(long other) {
    comparisons.add(new VersionComparison(other));
  }

  /** The versions that the subject is compared with. */
  List<Long> others() {
    return comparisons.stream().map(VersionComparison::other).toList();
  }

  /**
   * Asks the judge for one more batch of labels or choices. A judge that fails is not asked again
   * in this evaluation.
   *
   * @param involved the subject and all versions that need labels
   * @param versions by number
   * @return false if the judge has no more questions
   */
  boolean judgeNext(
      BatchedJudge judge,
      Collection<EvaluatedVersion> involved,
      Map<Long, EvaluatedVersion> versions)
      throws InterruptedException {
    if (!judgeFailure.isEmpty()) {
      return false;
    }
    try {
      for (EvaluatedVersion version : involved) {
        if (!judge.isLabelled(version)) {
          judge.labelNext(version);
          return true;
        }
      }
      for (int i = 0; i < comparisons.size(); i++) {
        VersionComparison comparison = comparisons.get(i);
        if (!judge.isComplete(comparison)) {
          comparisons.set(
              i, judge.compareNext(comparison, subject, versions.get(comparison.other())));
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      LOG.warn("The judge fails on version {}", subject.version(), e);
      judgeFailure = e.getMessage();
      // The judge labels these versions from the start when it is asked about the next version.
      involved.stream()
          .filter(version -> !judge.isLabelled(version))
          .forEach(EvaluatedVersion::clearLabels);
      return true;
    }
  }

  /** The subject's win rates by the other version; empty if the judge failed. */
  Map<Long, WinRate> winRates() {
    Map<Long, WinRate> rates = new TreeMap<>();
    if (judgeFailure.isEmpty()) {
      comparisons.forEach(comparison -> rates.put(comparison.other(), comparison.winRate()));
    }
    return rates;
  }

  record State(
      EvaluatedVersion.State subject,
      boolean recheck,
      List<VersionComparison> comparisons,
      String judgeFailure) {}

  State state() {
    return new State(subject.state(), recheck, List.copyOf(comparisons), judgeFailure);
  }

  /**
   * An evaluation that continues from a state.
   *
   * @param versions the known versions: a recheck's subject is one of them, not a copy
   */
  static Evaluation of(State state, Map<Long, EvaluatedVersion> versions) {
    EvaluatedVersion subject =
        state.recheck()
            ? versions.get(state.subject().model().version())
            : EvaluatedVersion.of(state.subject());
    Evaluation evaluation = new Evaluation(subject, state.recheck());
    evaluation.comparisons.addAll(state.comparisons());
    evaluation.judgeFailure = state.judgeFailure();
    return evaluation;
  }
}
