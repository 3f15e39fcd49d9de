package io.millrace.jobs.ppo;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The PPO batch that fills, and later is learned from. Where responses to a prompt are compared, it
 * is made of whole {@linkplain RolloutGroups groups}: of {@code ppo.batch-size} divided by the size
 * of a group, some of which may have fewer responses.
 *
 * <p>Each response is checked when it enters the batch, with its group: for staleness, say. A group
 * may have responses of several policy versions: each has its own importance weights, and is
 * compared with all others.
 */
final class WaitingBatch {

  private static final Logger LOG = LoggerFactory.getLogger(WaitingBatch.class);

  private final int size;
  private final int samples;
  private final RolloutGroups open;
  private final Drops drops;

  // State.
  private final List<ScoredRollout> rollouts = new ArrayList<>();
  private final List<Integer> groupSizes = new ArrayList<>();
  private long incomplete;

  /** What does not enter the batch. */
  interface Drops {
    /**
     * Drops a rollout that must not enter the batch.
     *
     * @return false for one that may
     */
    boolean refuses(ScoredRollout rollout);

    /** Drops a response that has no other to be compared with. */
    void alone(ScoredRollout rollout);
  }

  /**
   * @param samples responses to each prompt
   */
  WaitingBatch(PpoSection section, int samples, Drops drops) {
    this.size = section.batchSize();
    this.samples = samples;
    this.open =
        section.advantage().comparesResponses()
            ? new RolloutGroups(samples, section.maxOpenGroups())
            : null;
    this.drops = drops;
  }

  /** Most rollouts that wait in open groups. */
  static long mostOpen(PpoSection section, int samples) {
    return section.advantage().comparesResponses() ? (long) section.maxOpenGroups() * samples : 0;
  }

  boolean isFull() {
    return open == null ? rollouts.size() >= size : groupSizes.size() >= size / samples;
  }

  /** The rollouts of the batch, group after group. */
  List<ScoredRollout> rollouts() {
    return rollouts;
  }

  /** Rollouts that wait in open groups. */
  int held() {
    return open == null ? 0 : open.held();
  }

  /** Open groups. */
  int openGroups() {
    return open == null ? 0 : open.size();
  }

  /** Whether responses to a prompt wait for each other. */
  boolean hasGroups() {
    return open != null;
  }

  /** Groups that entered a batch with fewer responses than they should have. */
  long incompleteGroups() {
    return incomplete;
  }

  /** Takes a rollout: into the batch, or into its group. */
  void add(ScoredRollout rollout) {
    if (open == null) {
      enter(List.of(rollout));
    } else {
      open.add(rollout).ifPresent(this::enter);
    }
  }

  /**
   * Closes the oldest open group.
   *
   * @return whether one was open
   */
  boolean closeOldest() {
    Optional<List<ScoredRollout>> oldest = open == null ? Optional.empty() : open.closeOldest();
    oldest.ifPresent(this::enter);
    return oldest.isPresent();
  }

  private void enter(List<ScoredRollout> group) {
    List<ScoredRollout> accepted =
        group.stream().filter(rollout -> !drops.refuses(rollout)).toList();
    if (open == null) {
      rollouts.addAll(accepted);
    } else if (accepted.size() == 1) {
      drops.alone(accepted.getFirst());
    } else if (!accepted.isEmpty()) {
      rollouts.addAll(accepted);
      groupSizes.add(accepted.size());
      if (accepted.size() < samples) {
        countIncomplete(accepted);
      }
    }
  }

  /**
   * Removes rollouts that wait: from open groups, and from the batch if it is not being learned
   * from. A response that is then alone in its group is dropped.
   *
   * @param busy whether the batch is being learned from
   * @return the number of removed responses; the ones that they leave alone are dropped, not
   *     counted here
   */
  int removeIf(Predicate<ScoredRollout> removed, boolean busy) {
    int before = held() + rollouts.size();
    if (open != null) {
      open.removeIf(removed);
    }
    if (busy) {
      return before - held() - rollouts.size();
    }
    if (open == null) {
      rollouts.removeIf(removed);
      return before - rollouts.size();
    }
    List<ScoredRollout> all = List.copyOf(rollouts);
    List<Integer> sizes = List.copyOf(groupSizes);
    List<ScoredRollout> lone = new ArrayList<>();
    clear();
    int from = 0;
    for (int groupSize : sizes) {
      List<ScoredRollout> group = new ArrayList<>(all.subList(from, from + groupSize));
      from += groupSize;
      group.removeIf(removed);
      if (group.size() == 1) {
        lone.addAll(group);
      } else if (!group.isEmpty()) {
        rollouts.addAll(group);
        groupSizes.add(group.size());
      }
    }
    int count = before - held() - rollouts.size() - lone.size();
    lone.forEach(drops::alone);
    return count;
  }

  private void countIncomplete(List<ScoredRollout> group) {
    incomplete++;
    // The first, and then ever fewer lines: 1, 2, 4, 8.
    if (Long.bitCount(incomplete) == 1) {
      LOG.warn(
          "{} groups so far have fewer responses than rollout.samples-per-prompt {}; the last one,"
              + " of prompt {}, has {}: the others were refused, dropped or lost, or came after"
              + " more than ppo.max-open-groups other prompts",
          incomplete,
          samples,
          group.getFirst().promptId(),
          group.size());
    }
  }

  /** Empties the batch after it was learned from; open groups stay. */
  void clear() {
    rollouts.clear();
    groupSizes.clear();
  }

  /** Gives up the open groups: nothing is learned any more. */
  void dropOpen(Consumer<ScoredRollout> drop) {
    while (openGroups() > 0) {
      open.closeOldest().orElseThrow().forEach(drop);
    }
  }

  /**
   * The waiting groups.
   *
   * @param groupSizes responses of each group of the batch
   * @param open oldest first
   * @param incomplete groups that entered a batch with fewer responses
   */
  record State(
      List<Integer> groupSizes, List<RolloutGroups.Open> open, @AvroDefault("0") long incomplete) {}

  State state() {
    return new State(List.copyOf(groupSizes), open == null ? List.of() : open.state(), incomplete);
  }

  /**
   * Restores the batch. Where groups were not formed before and are now, or the other way round,
   * rollouts that wait must be taken again.
   *
   * @param state null in states without groups
   * @param busy whether the batch is being learned from
   * @return rollouts to take again before all others
   */
  List<ScoredRollout> restore(List<ScoredRollout> batch, State state, boolean busy) {
    rollouts.addAll(batch);
    List<ScoredRollout> again = new ArrayList<>();
    int grouped = 0;
    if (state != null) {
      incomplete = state.incomplete();
      groupSizes.addAll(state.groupSizes());
      grouped = state.groupSizes().stream().mapToInt(Integer::intValue).sum();
      if (open == null) {
        state.open().forEach(group -> again.addAll(group.rollouts()));
      } else {
        open.restore(state.open());
      }
    }
    if (open != null && !busy && grouped < batch.size()) {
      again.addAll(rollouts);
      clear();
    }
    return again;
  }
}
