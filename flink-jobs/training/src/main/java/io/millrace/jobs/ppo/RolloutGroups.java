package io.millrace.jobs.ppo;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Responses to a prompt that wait for the others. A group is closed when all of its responses have
 * arrived, in any order. The number of open groups is bounded: one more closes the oldest, whose
 * missing responses were refused or lost. The result depends on the order of arrival alone.
 *
 * <p>Responses are of one group if their prompts have the same tokens and the same reward model
 * decides. If a prompt is sent twice, its responses may form groups in another combination.
 */
final class RolloutGroups {

  private final int size;
  private final int maxOpen;
  private final Map<Prompt, Open> open = new LinkedHashMap<>();

  /** What the responses of a group have in common. */
  private record Prompt(List<Integer> tokens, boolean isSafety) {
    static Prompt of(ScoredRollout rollout) {
      return new Prompt(rollout.rollout().getPromptTokens(), rollout.isSafety());
    }
  }

  /**
   * An open group.
   *
   * @param arrived responses, those included that were withdrawn since
   * @param rollouts in the order of their arrival, at least one
   */
  record Open(int arrived, List<ScoredRollout> rollouts) {}

  /**
   * @param size responses of a whole group, at least 2
   * @param maxOpen most open groups, at least 1
   */
  RolloutGroups(int size, int maxOpen) {
    this.size = size;
    this.maxOpen = maxOpen;
  }

  /**
   * Takes a rollout.
   *
   * @return the group that is now closed: the rollout's own, or the oldest
   */
  Optional<List<ScoredRollout>> add(ScoredRollout rollout) {
    Prompt prompt = Prompt.of(rollout);
    Open before = open.get(prompt);
    List<ScoredRollout> rollouts = before == null ? new ArrayList<>() : before.rollouts();
    rollouts.add(rollout);
    int arrived = before == null ? 1 : before.arrived() + 1;
    if (arrived >= size) {
      open.remove(prompt);
      return Optional.of(rollouts);
    }
    open.put(prompt, new Open(arrived, rollouts));
    return open.size() > maxOpen ? closeOldest() : Optional.empty();
  }

  /** Closes the oldest open group; empty if none is open. */
  Optional<List<ScoredRollout>> closeOldest() {
    Iterator<Open> groups = open.values().iterator();
    if (!groups.hasNext()) {
      return Optional.empty();
    }
    Open oldest = groups.next();
    groups.remove();
    return Optional.of(oldest.rollouts());
  }

  /**
   * Removes rollouts that wait. Their groups do not wait for others in their place.
   *
   * @return how many
   */
  int removeIf(Predicate<ScoredRollout> removed) {
    int before = held();
    open.values().forEach(group -> group.rollouts().removeIf(removed));
    open.values().removeIf(group -> group.rollouts().isEmpty());
    return before - held();
  }

  /** Open groups. */
  int size() {
    return open.size();
  }

  /** Rollouts that wait in open groups. */
  int held() {
    return open.values().stream().mapToInt(group -> group.rollouts().size()).sum();
  }

  /** The open groups, oldest first, for the state. */
  List<Open> state() {
    return open.values().stream()
        .map(group -> new Open(group.arrived(), new ArrayList<>(group.rollouts())))
        .toList();
  }

  /** Opens the groups of a state. */
  void restore(List<Open> groups) {
    for (Open group : groups) {
      open.put(
          Prompt.of(group.rollouts().getFirst()),
          new Open(group.arrived(), new ArrayList<>(group.rollouts())));
    }
  }
}
