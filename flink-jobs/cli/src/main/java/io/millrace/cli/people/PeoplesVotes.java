package io.millrace.cli.people;

import io.millrace.model.evaluation.HumanEvaluation;
import io.millrace.model.evaluation.HumanEvaluation.Vote;
import io.millrace.model.evaluation.WinRate;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Provenance;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;

/** Votes of people on pairs of two policies' responses, from judgments. */
final class PeoplesVotes {

  static final String NO_PAIR = "no-pair";
  static final String NO_ANNOTATOR = "no-annotator";
  static final String OTHER_OBJECTIVE = "other-objective";
  static final String REPEATED = "repeated";

  private final Source source;
  private final Objective objective;
  private final Map<String, PairVotes> pairs = new LinkedHashMap<>();
  private final Map<String, Integer> unused = new TreeMap<>();
  private int left;
  private int right;

  /** A judgment's pair, and whether response A is that of the first policy. */
  record Found(ComparedPair pair, boolean firstIsA) {}

  /** Knows the pairs. */
  interface Source {
    Optional<Found> find(Judgment judgment);
  }

  private record Counted(Vote vote, int revision, long time) {
    boolean isOlderThan(Counted other) {
      return revision != other.revision ? revision < other.revision : time < other.time;
    }
  }

  private record PairVotes(ComparedPair pair, Map<String, Counted> byAnnotator) {
    List<Vote> votes() {
      return byAnnotator.values().stream().map(Counted::vote).toList();
    }
  }

  /**
   * @param objective judgments of the other objective are not used
   */
  PeoplesVotes(Source source, Objective objective) {
    this.source = source;
    this.objective = objective;
  }

  /** Adds a pair before its judgments, so that it counts although nobody judged it. */
  void expect(ComparedPair pair) {
    pairs.putIfAbsent(pair.pair(), new PairVotes(pair, new LinkedHashMap<>()));
  }

  /** Counts a judgment. Of two of one annotator the later revision counts, or the later one. */
  void add(Judgment judgment) {
    Optional<Found> found = source.find(judgment);
    if (judgment.getObjective() != objective) {
      unused.merge(OTHER_OBJECTIVE, 1, Integer::sum);
    } else if (found.isEmpty()) {
      unused.merge(NO_PAIR, 1, Integer::sum);
    } else if (judgment.getAnnotator().isEmpty()) {
      unused.merge(NO_ANNOTATOR, 1, Integer::sum);
    } else {
      count(judgment, found.get());
    }
  }

  private void count(Judgment judgment, Found found) {
    boolean a = judgment.getPreferred() == Preferred.A;
    left += a ? 1 : 0;
    right += a ? 0 : 1;
    int points = HumanEvaluation.MOST_POINTS - judgment.getRating().ordinal();
    Counted counted =
        new Counted(
            new Vote(judgment.getAnnotator(), a == found.firstIsA() ? points : -points),
            Provenance.revision(judgment),
            judgment.getTime().toEpochMilli());
    expect(found.pair());
    Map<String, Counted> votes = pairs.get(found.pair().pair()).byAnnotator();
    Counted before = votes.get(judgment.getAnnotator());
    if (before != null) {
      unused.merge(REPEATED, 1, Integer::sum);
    }
    if (before == null || !counted.isOlderThan(before)) {
      votes.put(judgment.getAnnotator(), counted);
    }
  }

  /** Judgments that do not count, by reason. */
  Map<String, Integer> unused() {
    return Map.copyOf(unused);
  }

  /** Share of the judgments that choose response A, which stands on the left; NaN for none. */
  double leftShare() {
    return left / (double) (left + right);
  }

  int pairs() {
    return pairs.size();
  }

  /** The pairs that nobody needs to judge. */
  long settled() {
    return pairs.values().stream().filter(each -> each.pair().settled().isPresent()).count();
  }

  /**
   * The result for some of the pairs. It includes pairs that need no judgment.
   *
   * @param least votes that a pair needs
   */
  HumanEvaluation evaluate(Predicate<ComparedPair> filter, int least) {
    List<List<Vote>> asked = new ArrayList<>();
    WinRate settled = WinRate.NONE;
    for (PairVotes each : pairs.values()) {
      if (!filter.test(each.pair())) {
        continue;
      }
      if (each.pair().settled().isEmpty()) {
        asked.add(each.votes());
        continue;
      }
      settled =
          settled.plus(
              switch (each.pair().settled().get()) {
                case ComparedPair.FIRST -> new WinRate(1, 0, 0);
                case ComparedPair.SECOND -> new WinRate(0, 0, 1);
                default -> new WinRate(0, 1, 0);
              });
    }
    HumanEvaluation judged = HumanEvaluation.of(asked, least);
    return new HumanEvaluation(
        judged.winRate().plus(settled),
        judged.waiting(),
        judged.withoutMajority(),
        judged.votes(),
        judged.overlapping(),
        judged.ac2());
  }
}
