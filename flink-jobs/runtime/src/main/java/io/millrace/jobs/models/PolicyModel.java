package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.ModelSection;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Weights;
import io.millrace.model.sampling.Policy;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.util.Optional;

/**
 * A policy read from a checkpoint directory, with what turns dialogues into its tokens.
 *
 * @param name of the published model, empty for a directory of other origin
 * @param version the published version, 0 for a directory of other origin
 */
public record PolicyModel(
    LanguageModel model, Tokenizer tokenizer, ChatTemplate template, String name, long version)
    implements Policy {

  /** A policy of any place, to sample and score with it: its weights may be shared. */
  public static PolicyModel load(Backend backend, CheckpointCache checkpoints, String uri)
      throws IOException {
    try (LocalCheckpoint files = checkpoints.open(uri);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
      return of(checkpoint, BaseModels.languageModel(backend, checkpoints, checkpoint));
    }
  }

  /** A policy of any place, to be trained: all its weights, or an adapter on them. */
  public static PolicyModel loadToTrain(
      Backend backend, CheckpointCache checkpoints, String uri, ModelSection section)
      throws IOException {
    try (LocalCheckpoint files = checkpoints.open(uri);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
      section.requireAdapter(uri, checkpoint.adapter());
      Optional<AdapterConfig> adapter = section.adapter().config();
      LanguageModel model;
      if (adapter.isEmpty()) {
        model = ModelWeights.languageModel(backend, checkpoint);
      } else if (checkpoint.adapter().isPresent()) {
        model = BaseModels.languageModel(backend, checkpoints, checkpoint);
      } else {
        LlamaConfig shape = checkpoint.config();
        model =
            new LanguageModel(
                backend,
                shape,
                Weights.adapter(
                    BaseModels.frozen(backend, checkpoint),
                    adapter.get(),
                    Weights.initial(backend, adapter.get().parameters(shape), section.seed())));
      }
      return of(checkpoint, model);
    }
  }

  /** A policy of this machine with all its weights. */
  public static PolicyModel load(Backend backend, String uri) throws IOException {
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(CheckpointStore.resolve(uri))) {
      return of(checkpoint, ModelWeights.languageModel(backend, checkpoint));
    }
  }

  private static PolicyModel of(CheckpointDirectory checkpoint, LanguageModel model) {
    try {
      Tokenizer tokenizer = Tokenizer.load(checkpoint.path());
      return new PolicyModel(
          model,
          tokenizer,
          ChatTemplate.of(tokenizer),
          checkpoint.manifest().map(CheckpointManifest::name).orElse(""),
          checkpoint.manifest().map(CheckpointManifest::version).orElse(0L));
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
  }
}
