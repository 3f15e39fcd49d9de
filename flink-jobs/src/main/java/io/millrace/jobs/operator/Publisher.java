package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.StagedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;

/** Stages a trainer's weights as a checkpoint directory. */
final class Publisher {

  private final CheckpointStore store;

  Publisher(String storeDirectory) {
    this.store = new CheckpointStore(storeDirectory);
  }

  /** The version above which a new lineage publishes: the last in the store. */
  long latestVersion(String name) throws IOException {
    return store.latestVersion(name);
  }

  /**
   * Writes the files, and hands over what publishes them.
   *
   * @param announcement of the staged files
   */
  <T extends SpecificRecordBase> StagedCheckpoint stage(
      LlamaConfig config,
      Parameters weights,
      Tokenizer tokenizer,
      CheckpointManifest manifest,
      Topic<T> topic,
      Function<StagedFiles, T> announcement)
      throws IOException {
    StagedFiles files =
        store.stage(
            manifest.name(),
            manifest.version(),
            directory ->
                CheckpointDirectory.write(
                    directory, config, ModelWeights.sources(weights), tokenizer::save, manifest));
    return StagedCheckpoint.of(files, topic, announcement.apply(files));
  }
}
