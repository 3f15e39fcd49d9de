package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A broker with all topics, and configurations of trainers that use it. */
final class TrainerKafka {

  private final Path directory;
  private final List<String> settings;
  private final EmbeddedBroker broker;

  /**
   * @param directory of the broker's files and of the checkpoint stores
   * @param settings of every configuration
   */
  TrainerKafka(Path directory, String... settings) throws Exception {
    this.directory = directory;
    this.settings = List.of(settings);
    this.broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config("start")))) {
      admin.createAll(1, 1);
    }
  }

  /** A configuration with a tiny model and a checkpoint store of its own. */
  MillraceConfig config(String store, String... more) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store)));
    all.addAll(settings);
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(more));
    return ConfigLoader.load(Optional.empty(), all);
  }

  void close() throws Exception {
    broker.close();
  }
}
