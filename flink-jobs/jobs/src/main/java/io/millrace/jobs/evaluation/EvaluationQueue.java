package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.Version;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * What was announced and is not looked at yet. One thread adds, another takes; it is written while
 * both stand still.
 */
final class EvaluationQueue {

  private static final SingleObject<RewardCheckpoint> CODEC =
      SingleObject.of(RewardCheckpoint.class);

  private final String model;

  // State.
  private final Queue<Version> versions = new ConcurrentLinkedQueue<>();
  private final Queue<RewardCheckpoint> rewardModels = new ConcurrentLinkedQueue<>();
  private final TreeSet<Long> added = new TreeSet<>();
  private final TreeSet<Long> announcedVersions = new TreeSet<>();
  private volatile long first;
  private long duplicates;

  /**
   * @param model whose versions are taken in
   */
  EvaluationQueue(String model) {
    this.model = model;
  }

  /** A version was announced; one that was added before is counted and left out. */
  void offer(PolicyCheckpoint announced) {
    if (!announced.getModel().equals(model)) {
      return;
    }
    long number = announced.getVersion();
    first = first == 0 ? number : first;
    if (!announcedVersions.add(number)) {
      duplicates++;
    } else {
      add(new Version(number, announced.getUri(), announced.getManifestSha256()));
    }
  }

  /** A version that earlier runs know; its announcement may come too. */
  void add(Version version) {
    if (added.add(version.number())) {
      versions.add(version);
    }
  }

  void offer(RewardCheckpoint announced) {
    rewardModels.add(announced);
  }

  Optional<Version> nextVersion() {
    return Optional.ofNullable(versions.poll());
  }

  Optional<RewardCheckpoint> nextRewardModel() {
    return Optional.ofNullable(rewardModels.poll());
  }

  /** The version that was announced first; 0 where none was. */
  long first() {
    return first;
  }

  /** Versions that wait. */
  int waiting() {
    return versions.size();
  }

  /** Announcements of versions that were there already. */
  long duplicates() {
    return duplicates;
  }

  void write(DataOutput out) throws IOException {
    StateIo.writeList(out, List.copyOf(versions), (stream, version) -> version.write(stream));
    writeRewardModels(out, List.copyOf(rewardModels));
    StateIo.writeList(out, List.copyOf(added), DataOutput::writeLong);
    StateIo.writeList(out, List.copyOf(announcedVersions), DataOutput::writeLong);
    out.writeLong(first);
    out.writeLong(duplicates);
  }

  /** Restores what {@link #write} wrote. */
  void read(DataInput in) throws IOException {
    versions.addAll(StateIo.readList(in, Version::read));
    rewardModels.addAll(readRewardModels(in));
    added.addAll(StateIo.readList(in, DataInput::readLong));
    announcedVersions.addAll(StateIo.readList(in, DataInput::readLong));
    first = in.readLong();
    duplicates = in.readLong();
  }

  static void writeRewardModels(DataOutput out, List<RewardCheckpoint> list) throws IOException {
    StateIo.writeList(out, list, (stream, one) -> StateIo.writeBytes(stream, CODEC.encode(one)));
  }

  static List<RewardCheckpoint> readRewardModels(DataInput in) throws IOException {
    return StateIo.readList(in, stream -> CODEC.decode(StateIo.readBytes(stream)));
  }
}
