package io.millrace.console.annotate;

import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What annotators did with tasks, folded from the topic {@code assignments}. The order of the topic
 * decides between two leases of a task, so that all consoles come to the same result. For one
 * thread.
 */
final class Assignments {

  private final int overlap;
  private final Map<String, Map<String, Assignment>> byTask = new HashMap<>();

  /**
   * @param overlap how many annotators may judge a task
   */
  Assignments(int overlap) {
    this.overlap = overlap;
  }

  /** Adds the next record of the topic. A lease of a task that others hold counts for nothing. */
  void add(Assignment assignment) {
    String task = assignment.getTaskId();
    String annotator = assignment.getAnnotator();
    if (assignment.getState() == AssignmentState.LEASED
        && !isFree(task, annotator, assignment.getTime())) {
      return;
    }
    byTask.computeIfAbsent(task, _ -> new HashMap<>()).put(annotator, assignment);
  }

  /** Whether an annotator may have a task that others may hold or have judged. */
  boolean isFree(String task, String annotator, Instant now) {
    return byTask.getOrDefault(task, Map.of()).values().stream()
            .filter(each -> !each.getAnnotator().equals(annotator) && holds(each, now))
            .count()
        < overlap;
  }

  private static boolean holds(Assignment assignment, Instant now) {
    return switch (assignment.getState()) {
      case JUDGED, BOTH_BAD -> true;
      case LEASED -> assignment.getLeasedUntil().isAfter(now);
      case SKIPPED, WITHDRAWN -> false;
    };
  }

  Optional<Assignment> of(String task, String annotator) {
    return Optional.ofNullable(byTask.getOrDefault(task, Map.of()).get(annotator));
  }

  /** All assignments of an annotator. */
  List<Assignment> of(String annotator) {
    List<Assignment> found = new ArrayList<>();
    byTask.values().forEach(each -> Optional.ofNullable(each.get(annotator)).ifPresent(found::add));
    return found;
  }

  /** All assignments, by task. */
  Iterable<Map<String, Assignment>> tasks() {
    return byTask.values();
  }
}
