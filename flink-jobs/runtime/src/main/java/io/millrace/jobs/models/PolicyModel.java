package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.Policy;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;

/**
 * A policy read from a checkpoint directory, with what turns dialogues into its tokens.
 *
 * @param version the published version, 0 for a directory of other origin
 */
public record PolicyModel(
    LanguageModel model, Tokenizer tokenizer, ChatTemplate template, long version)
    implements Policy {

  /** A policy of any place. */
  public static PolicyModel load(Backend backend, CheckpointCache checkpoints, String uri)
      throws IOException {
    try (LocalCheckpoint checkpoint = checkpoints.open(uri)) {
      return load(backend, checkpoint.directory());
    }
  }

  /** A policy of this machine. */
  public static PolicyModel load(Backend backend, String uri) throws IOException {
    return load(backend, CheckpointStore.resolve(uri));
  }

  private static PolicyModel load(Backend backend, Path directory) {
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(directory)) {
      Tokenizer tokenizer = Tokenizer.load(directory);
      return new PolicyModel(
          ModelWeights.languageModel(backend, checkpoint),
          tokenizer,
          ChatTemplate.of(tokenizer),
          checkpoint.manifest().map(CheckpointManifest::version).orElse(0L));
    }
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
  }
}
