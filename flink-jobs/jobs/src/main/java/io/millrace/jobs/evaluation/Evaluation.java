package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.LengthControl;
import io.millrace.model.evaluation.WinRate;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An evaluation in progress: of a new version, or a recheck of the served version after new reward
 * models came. A look compares the versions on the prompts of one round. The evidence of all looks
 * at a new version adds up.
 */
final class Evaluation {

  private static final Logger LOG = LoggerFactory.getLogger(Evaluation.class);

  private final EvaluatedVersion subject;
  private final boolean recheck;
  private final long test;
  private final List<VersionComparison> comparisons = new ArrayList<>();
  private final Map<Long, VersionEvidence> evidence = new TreeMap<>();
  private LabelCounts labels = LabelCounts.NONE;
  private long round;
  private int look;
  private String judgeFailure = "";

  private Evaluation(EvaluatedVersion subject, boolean recheck, long test) {
    this.subject = subject;
    this.recheck = recheck;
    this.test = test;
  }

  /**
   * @param test number of its test among all tests of versions; 0 if nothing is compared
   */
  static Evaluation ofNew(EvaluatedVersion version, long test) {
    return new Evaluation(version, false, test);
  }

  static Evaluation recheck(EvaluatedVersion served) {
    return new Evaluation(served, true, 0);
  }

  /**
   * Begins the next look.
   *
   * @param nextRound whose prompts it uses
   * @param others the versions to compare with
   */
  void look(long nextRound, Collection<Long> others) {
    look++;
    round = nextRound;
    judgeFailure = "";
    comparisons.clear();
    others.forEach(other -> comparisons.add(new VersionComparison(other)));
  }

  /** The version that is evaluated. */
  EvaluatedVersion subject() {
    return subject;
  }

  boolean isRecheck() {
    return recheck;
  }

  /** The number of the version's test. */
  long test() {
    return test;
  }

  /** The round whose prompts this look uses. */
  long round() {
    return round;
  }

  /** The number of this look, from 1. */
  int look() {
    return look;
  }

  /** Why the judge failed; empty if it did not. */
  String judgeFailure() {
    return judgeFailure;
  }

  /** The versions that the subject is compared with. */
  List<Long> others() {
    return comparisons.stream().map(VersionComparison::other).toList();
  }

  /**
   * Adds the evidence of a look, when the judge has no more questions.
   *
   * @param versions by number, with their responses of this look
   */
  void add(LabelCounts own, Map<Long, LabelCounts> beside, Map<Long, EvaluatedVersion> versions) {
    labels = labels.plus(own);
    Map<Long, WinRate> rates = winRates();
    beside.forEach(
        (other, counts) ->
            evidence.merge(
                other,
                new VersionEvidence(
                    other,
                    rates.getOrDefault(other, WinRate.NONE),
                    counts,
                    rates.containsKey(other) ? lengths(versions.get(other)) : LengthControl.NONE),
                VersionEvidence::plus));
  }

  private LengthControl lengths(EvaluatedVersion other) {
    return comparisons.stream()
        .filter(comparison -> comparison.other() == other.version())
        .map(
            comparison ->
                LengthControl.of(subject.lengths(), other.lengths(), comparison.choices()))
        .findFirst()
        .orElse(LengthControl.NONE);
  }

  /** The evidence beside another version; none if there was no comparison. */
  VersionEvidence evidence(long other) {
    return evidence.getOrDefault(other, VersionEvidence.none(other));
  }

  /** Counts of the subject's labels over all looks. */
  LabelCounts labels() {
    return labels;
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
        if (!judge.isComplete(comparison, subject)) {
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

  /** The subject's win rates of this look by the other version; empty if the judge failed. */
  private Map<Long, WinRate> winRates() {
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
      String judgeFailure,
      @AvroDefault("0") long test,
      @AvroDefault("-1") long round,
      @AvroDefault("0") int look,
      @AvroDefault("[]") List<VersionEvidence> evidence,
      @Nullable @AvroDefault("null") LabelCounts labels) {}

  State state() {
    return new State(
        subject.state(),
        recheck,
        List.copyOf(comparisons),
        judgeFailure,
        test,
        round,
        look,
        List.copyOf(evidence.values()),
        labels);
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
    Evaluation evaluation = new Evaluation(subject, state.recheck(), state.test());
    evaluation.comparisons.addAll(state.comparisons());
    evaluation.judgeFailure = state.judgeFailure();
    evaluation.round = state.round();
    evaluation.look = state.look();
    state.evidence().forEach(one -> evaluation.evidence.put(one.other(), one));
    evaluation.labels = state.labels() == null ? LabelCounts.NONE : state.labels();
    return evaluation;
  }

  /** Whether a state is from before evaluations had rounds; it cannot be continued. */
  static boolean isWithoutRound(State state) {
    return state.round() < 0;
  }
}
