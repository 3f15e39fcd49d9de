package io.millrace.jobs.models;

import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** A policy or a reward model that was published; a POJO in Flink's sense. */
public final class Announcement {

  /** The reward model's objective; empty for a policy. */
  public String objective;

  public long version;
  public String uri;

  /** For Flink's serializer. */
  public Announcement() {}

  private Announcement(String objective, long version, String uri) {
    this.objective = objective;
    this.version = version;
    this.uri = uri;
  }

  public static Announcement of(PolicyCheckpoint policy) {
    return new Announcement("", policy.getVersion(), policy.getUri());
  }

  public static Announcement of(RewardCheckpoint rewardModel) {
    return new Announcement(
        rewardModel.getObjective().name(), rewardModel.getVersion(), rewardModel.getUri());
  }

  public boolean isPolicy() {
    return objective.isEmpty();
  }

  /** The objective of a reward model. */
  public Objective rewardModel() {
    return Objective.valueOf(objective);
  }

  public static void write(DataOutput out, Announcement announcement) throws IOException {
    StateIo.writeText(out, announcement.objective);
    out.writeLong(announcement.version);
    StateIo.writeText(out, announcement.uri);
  }

  public static Announcement read(DataInput in) throws IOException {
    return new Announcement(StateIo.readText(in), in.readLong(), StateIo.readText(in));
  }
}
