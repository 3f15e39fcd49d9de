package io.millrace.jobs.rejection;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.chat.TokenizerDifference;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;

/** Whether one policy can learn from what another sampled. */
final class Students {

  private Students() {}

  /**
   * @param student the one that learns
   * @param sampler the one that samples
   * @throws IllegalArgumentException naming the student and what keeps it from learning
   */
  static void requireUsable(String student, String sampler, CheckpointCache checkpoints)
      throws IOException {
    try (LocalCheckpoint files = checkpoints.openDescription(student);
        LocalCheckpoint otherFiles = checkpoints.openDescription(sampler);
        Tokenizer tokenizer = Tokenizer.load(files.directory());
        Tokenizer others = Tokenizer.load(otherFiles.directory())) {
      if (CheckpointStore.isLocal(student)) {
        CheckpointDirectory.open(files.directory()).close();
      }
      CheckpointOutline checkpoint = CheckpointOutline.read(files.directory());
      if (checkpoint.kind() != CheckpointKind.POLICY) {
        throw new IllegalArgumentException(
            "rejection-sampling.student %s is a %s, where a policy is needed"
                .formatted(student, checkpoint.kind()));
      }
      tokenizer.requireFits(checkpoint.config().vocabSize());
      TokenizerDifference.between(tokenizer, others)
          .ifPresent(
              difference -> {
                throw new IllegalArgumentException(
                    "rejection-sampling.student %s cannot learn from what %s samples: %s"
                        .formatted(student, sampler, difference));
              });
    }
  }
}
