package io.millrace.jobs;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerDifference;
import java.nio.file.Path;

/** Whether one policy can learn from what another sampled. */
final class Students {

  private Students() {}

  /**
   * @param student directory of the one that learns
   * @param sampler directory of the one that samples
   * @throws IllegalArgumentException naming the student and what keeps it from learning
   */
  static void requireUsable(String student, String sampler) {
    Path directory = CheckpointStore.localPath(student);
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(directory);
        Tokenizer tokenizer = Tokenizer.load(directory);
        Tokenizer others = Tokenizer.load(CheckpointStore.localPath(sampler))) {
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
