package io.millrace.jobs.evaluation;

import io.millrace.jobs.models.ModelRef;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.avro.reflect.AvroDefault;

/**
 * Announcements that wait for the evaluator. One thread adds them and another takes them; the state
 * is written while both stand still.
 */
final class EvaluationQueue {

  private final String model;

  // State.
  private final Deque<ModelRef> versions = new ConcurrentLinkedDeque<>();
  private final Queue<RewardCheckpoint> rewardModels = new ConcurrentLinkedQueue<>();
  private final Queue<Promotion> decisions = new ConcurrentLinkedQueue<>();
  private final TreeSet<Long> added = new TreeSet<>();
  private final TreeSet<Long> announcedVersions = new TreeSet<>();
  private volatile long first;
  private long duplicates;

  /**
   * @param model the policy's name; other policies' announcements are ignored
   */
  EvaluationQueue(String model) {
    this.model = model;
  }

  /** Adds an announced version. A version that was announced before is only counted. */
  void offer(PolicyCheckpoint announced) {
    if (!announced.getModel().equals(model)) {
      return;
    }
    long number = announced.getVersion();
    first = first == 0 ? number : first;
    if (!announcedVersions.add(number)) {
      duplicates++;
    } else {
      add(ModelRef.of(announced));
    }
  }

  /** Adds a version that an earlier run knew; its announcement may come too. */
  void add(ModelRef version) {
    if (added.add(version.version())) {
      versions.add(version);
    }
  }

  void offer(RewardCheckpoint announced) {
    rewardModels.add(announced);
  }

  /** Adds a person's decision. The gate's own records, and those of other policies, are ignored. */
  void offer(Promotion record) {
    if (PromotionChain.isDecision(record) && record.getModel().equals(model)) {
      decisions.add(record);
    }
  }

  /** Puts a version before all that wait. Its announcement may come too. */
  void addFirst(ModelRef version) {
    added.add(version.version());
    versions.removeIf(one -> one.version() == version.version());
    versions.addFirst(version);
  }

  Optional<Promotion> nextDecision() {
    return Optional.ofNullable(decisions.poll());
  }

  Optional<ModelRef> nextVersion() {
    return Optional.ofNullable(versions.poll());
  }

  Optional<RewardCheckpoint> nextRewardModel() {
    return Optional.ofNullable(rewardModels.poll());
  }

  /** The version that was announced first; 0 if there is none. */
  long first() {
    return first;
  }

  /** Number of waiting versions. */
  int waiting() {
    return versions.size();
  }

  /** Repeated announcements. */
  long duplicates() {
    return duplicates;
  }

  record State(
      List<ModelRef> versions,
      List<RewardCheckpoint> rewardModels,
      List<Long> added,
      List<Long> announcedVersions,
      long first,
      long duplicates,
      @AvroDefault("[]") List<Promotion> decisions) {}

  State state() {
    return new State(
        List.copyOf(versions),
        List.copyOf(rewardModels),
        List.copyOf(added),
        List.copyOf(announcedVersions),
        first,
        duplicates,
        List.copyOf(decisions));
  }

  /** Restores a state into an empty queue. */
  void restore(State state) {
    versions.addAll(state.versions());
    rewardModels.addAll(state.rewardModels());
    added.addAll(state.added());
    announcedVersions.addAll(state.announcedVersions());
    first = state.first();
    duplicates = state.duplicates();
    decisions.addAll(state.decisions());
  }
}
