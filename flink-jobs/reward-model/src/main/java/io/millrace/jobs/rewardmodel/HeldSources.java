package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.Judgment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;

/** Sources that are held back, and their judgments, which wait until the source is released. */
final class HeldSources {

  private final Set<String> released;
  private final int capacity;

  // State.
  private final Set<String> held = new TreeSet<>();
  private final Deque<Judgment> waiting = new ArrayDeque<>();
  private long dropped;

  /**
   * @param released sources that are never held back
   * @param capacity judgments that wait; beyond them the oldest are dropped
   */
  HeldSources(List<String> released, int capacity) {
    this.released = Set.copyOf(released);
    this.capacity = capacity;
  }

  boolean contains(String source) {
    return held.contains(source);
  }

  /** The sources that are held back. */
  Set<String> names() {
    return held;
  }

  /** Whether a source may be held back. */
  boolean mayHold(String source) {
    return !released.contains(source) && !held.contains(source);
  }

  /** Holds a source back from now on. */
  void hold(String source) {
    held.add(source);
  }

  /** Takes a judgment of a source that is held back; drops the oldest where too many wait. */
  void add(Judgment judgment) {
    waiting.addLast(judgment);
    if (waiting.size() > capacity) {
      waiting.removeFirst();
      dropped++;
    }
  }

  /**
   * Removes judgments that wait.
   *
   * @return how many were removed
   */
  int removeIf(Predicate<Judgment> removed) {
    int before = waiting.size();
    waiting.removeIf(removed);
    return before - waiting.size();
  }

  /** Judgments that no longer fitted. */
  long dropped() {
    return dropped;
  }

  /** Takes out the judgments of sources that were released, in their order. */
  List<Judgment> takeReleased() {
    List<Judgment> free = new ArrayList<>();
    if (held.removeAll(released)) {
      waiting.removeIf(judgment -> released.contains(judgment.getSource()) && free.add(judgment));
    }
    return free;
  }

  Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("held_back/sources", (double) held.size());
    metrics.put("held_back/judgments", (double) waiting.size());
    metrics.put("held_back/dropped", (double) dropped);
    metrics.put("monitor/alarm_source_held_back", held.isEmpty() ? 0.0 : 1.0);
    return metrics;
  }

  /**
   * What is held back.
   *
   * @param held sources
   * @param waiting judgments, the oldest first
   * @param dropped judgments that no longer fitted
   */
  record State(List<String> held, List<Judgment> waiting, long dropped) {}

  State state() {
    return new State(List.copyOf(held), List.copyOf(waiting), dropped);
  }

  /** Continues from a state; with a smaller capacity the oldest judgments are dropped. */
  void restore(State state) {
    held.clear();
    held.addAll(state.held());
    waiting.clear();
    dropped = state.dropped();
    state.waiting().forEach(this::add);
  }
}
