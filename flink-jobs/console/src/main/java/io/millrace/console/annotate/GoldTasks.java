package io.millrace.console.annotate;

import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Pairs whose better response is known, to test annotators with. Each annotator has a task of his
 * own for a pair, so that neither leases nor the agreement of annotators know of them. The names of
 * its responses in assignments begin with {@value #PREFIX}.
 *
 * <p>Which tasks are gold tasks follows from a hash of the file, the annotator and the number of
 * the annotator's tasks: all consoles with the same file choose alike, and nobody without the file
 * can tell.
 */
public final class GoldTasks {

  private static final String PREFIX = "gold-task/";
  private static final int BITS = 52;

  private final double share;
  private final String seed;
  private final Map<String, Gold> byKey = new LinkedHashMap<>();

  private record Gold(String key, Judgment judgment) {

    private Response response(boolean a) {
      JudgedResponse response = a ? judgment.getResponseA() : judgment.getResponseB();
      return new Response(
          PREFIX + key + (a ? "/a" : "/b"),
          judgment.getDialogue(),
          judgment.getObjective() == Objective.SAFETY,
          response,
          Instant.EPOCH);
    }

    private Pair pair(String annotator) {
      return new Pair(Pair.id(PREFIX + key + "\n" + annotator), response(true), response(false));
    }
  }

  /**
   * Gold tasks.
   *
   * @param judgments whose choice is right
   * @param share share of an annotator's tasks, 0 to 1
   * @throws IllegalArgumentException if two judgments of the same pair contradict each other
   */
  public GoldTasks(Collection<Judgment> judgments, double share) {
    this.share = share;
    for (Judgment judgment : judgments) {
      String key = key(judgment);
      Gold before = byKey.put(key, new Gold(key, judgment));
      if (before != null
          && !better(before.judgment()).getText().equals(better(judgment).getText())) {
        throw new IllegalArgumentException(
            ("console.gold-file: judgment %s prefers the other response than an earlier line about"
                    + " the same pair; remove one of them")
                .formatted(judgment.getJudgmentId()));
      }
    }
    this.seed = Pair.id(byKey.keySet() + "\n" + judgments);
  }

  /** No gold tasks. */
  public static GoldTasks none() {
    return new GoldTasks(List.of(), 0);
  }

  private static String key(Judgment judgment) {
    List<String> texts =
        List.of(judgment.getResponseA().getText(), judgment.getResponseB().getText()).stream()
            .map(Pair::id)
            .sorted()
            .toList();
    return Pair.id(judgment.getObjective() + "\n" + judgment.getDialogue() + "\n" + texts);
  }

  private static JudgedResponse better(Judgment judgment) {
    return judgment.getPreferred() == Preferred.A
        ? judgment.getResponseA()
        : judgment.getResponseB();
  }

  /**
   * The gold task that an annotator gets next, if it is time for one.
   *
   * @param tasks tasks that the annotator had
   * @param isNew whether the annotator may get a task
   */
  Optional<Pair> next(String annotator, int tasks, Predicate<Pair> isNew) {
    if (hash(annotator + "\n" + tasks) >= share) {
      return Optional.empty();
    }
    return byKey.values().stream()
        .filter(gold -> isNew.test(gold.pair(annotator)))
        .min(Comparator.comparingDouble(gold -> hash(annotator + "\n" + gold.key())))
        .map(gold -> gold.pair(annotator));
  }

  /** A number from 0 to 1. */
  private double hash(String text) {
    String hex = Pair.id(seed + "\n" + text).substring(0, BITS / 4);
    return Long.parseLong(hex, 16) / (double) (1L << BITS);
  }

  /** Whether an assignment is of a gold task, also of one that the file no longer has. */
  static boolean isGold(Assignment assignment) {
    return assignment.getLeft().startsWith(PREFIX);
  }

  private Optional<Gold> gold(Assignment assignment) {
    String left = assignment.getLeft();
    return Optional.ofNullable(
        byKey.get(left.substring(PREFIX.length(), Math.max(PREFIX.length(), left.length() - 2))));
  }

  /** The pair of an assignment of a gold task; empty if the file no longer has it. */
  Optional<Pair> find(Assignment assignment) {
    return gold(assignment).map(gold -> gold.pair(assignment.getAnnotator()));
  }

  /** Whether a choice is the known one; empty without a choice or a known one. */
  Optional<Boolean> isRight(Assignment assignment) {
    if (!isGold(assignment) || assignment.getState() != AssignmentState.JUDGED) {
      return Optional.empty();
    }
    String chosen =
        assignment.getPreferred() == Preferred.A ? assignment.getLeft() : assignment.getRight();
    return gold(assignment)
        .map(
            gold ->
                gold.response(gold.judgment().getPreferred() == Preferred.A)
                    .rolloutId()
                    .equals(chosen));
  }
}
