package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;

/** Stages a trainer's weights as a checkpoint directory. */
final class Publisher {

  private final CheckpointStore store;
  private final String topicPrefix;

  Publisher(String storeDirectory, String topicPrefix) {
    this.store = new CheckpointStore(Path.of(storeDirectory));
    this.topicPrefix = topicPrefix;
  }

  /** The version below which a new lineage must not publish: what is in the store already. */
  long latestVersion(String name) throws IOException {
    return store.latestVersion(name);
  }

  /** Where a version will be found. */
  Path directory(String name, long version) {
    return store.directory(name, version);
  }

  /**
   * Writes the files, and hands over what publishes them.
   *
   * @param announcement from the manifest's digest
   */
  <T extends SpecificRecordBase> StagedCheckpoint stage(
      LlamaConfig config,
      Parameters weights,
      Tokenizer tokenizer,
      CheckpointManifest manifest,
      String key,
      Class<T> type,
      Function<String, T> announcement)
      throws IOException {
    Path staging = store.emptyStagingDirectory(manifest.name(), manifest.version());
    String digest =
        CheckpointDirectory.write(
            staging, config, ModelWeights.sources(weights), tokenizer::save, manifest);
    return new StagedCheckpoint(
        key,
        manifest.version(),
        staging.toString(),
        store.directory(manifest.name(), manifest.version()).toString(),
        digest,
        Topic.of(type).name(topicPrefix),
        SingleObject.of(type).encode(announcement.apply(digest)));
  }
}
