package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.flink.RecordCheck;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointException;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Sends announcements to the dead letters whose checkpoint a job could not load: one that is not
 * there, is not what was announced, or is of another kind or vocabulary. The job goes on with the
 * model it has.
 */
public final class AnnouncementCheck<T extends SpecificRecordBase> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  private final String model;
  private final String initial;
  private transient int vocabSize;

  private AnnouncementCheck(String model, String initial) {
    this.model = model;
    this.initial = initial;
  }

  /** Announcements of a policy; those of policies with another name pass, and are not looked at. */
  public static AnnouncementCheck<PolicyCheckpoint> policies(String model, String initial) {
    return new AnnouncementCheck<>(model, initial);
  }

  /** Announcements of reward models for a policy that starts from {@code initial}. */
  public static AnnouncementCheck<RewardCheckpoint> rewardModels(String initial) {
    return new AnnouncementCheck<>("", initial);
  }

  @Override
  public void open() throws IOException {
    try (CheckpointDirectory checkpoint =
        CheckpointDirectory.open(CheckpointStore.resolve(initial))) {
      vocabSize = checkpoint.config().vocabSize();
    }
  }

  @Override
  public void check(T announcement) {
    switch (announcement) {
      case PolicyCheckpoint policy -> {
        if (policy.getModel().equals(model)) {
          check(policy.getUri(), policy.getManifestSha256(), CheckpointKind.POLICY);
        }
      }
      case RewardCheckpoint reward ->
          check(reward.getUri(), reward.getManifestSha256(), CheckpointKind.REWARD_MODEL);
      default ->
          throw new IllegalArgumentException(
              announcement.getSchema().getName() + " does not announce a checkpoint");
    }
  }

  private void check(String uri, String manifestSha256, CheckpointKind kind) {
    if (CheckpointStore.isRetired(uri)) {
      // Nothing is wrong with it; who would load it waits for the one that took its place.
      return;
    }
    try (CheckpointDirectory checkpoint =
        CheckpointDirectory.open(CheckpointStore.resolve(uri, manifestSha256))) {
      if (checkpoint.kind() != kind) {
        throw refused(uri + " is a " + checkpoint.kind() + ", where a " + kind + " is needed");
      }
      if (checkpoint.config().vocabSize() != vocabSize) {
        throw refused(
            "%s has a vocabulary of %d, model.initial one of %d"
                .formatted(uri, checkpoint.config().vocabSize(), vocabSize));
      }
    } catch (IOException | CheckpointException | IllegalArgumentException e) {
      throw refused(e.getMessage());
    }
  }

  private static RefusedRecordException refused(String message) {
    return new RefusedRecordException("unusable-checkpoint", message);
  }
}
