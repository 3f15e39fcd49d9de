package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.Announcements;
import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.StagedFiles;
import io.millrace.connectors.kafka.KafkaSettings;
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
public final class Publisher {

  private final CheckpointStore store;
  private final KafkaSettings kafka;

  Publisher(CheckpointStore store, KafkaSettings kafka) {
    this.store = store;
    this.kafka = kafka;
  }

  /**
   * The version above which a new lineage publishes: the last in the store, or the last announced
   * where that is higher, since another store may have been in use before.
   *
   * @param key of its announcements
   */
  public long latestVersion(String name, Topic<?> announcements, String key) throws IOException {
    return Math.max(
        store.latestVersion(name), Announcements.latestVersion(kafka, announcements, key));
  }

  /**
   * Writes the files, and hands over what publishes them.
   *
   * @param announcement of the staged files
   */
  public <T extends SpecificRecordBase> StagedCheckpoint stage(
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
