package io.millrace.cli.erase;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.ConfigSource;
import io.millrace.cli.option.KafkaPorts;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Kafka and directories of the jobs, from their configuration. */
final class DeploymentOptions {

  @Mixin private ConfigSource source;

  @Option(
      names = "--bootstrap-servers",
      paramLabel = "HOST:PORT",
      description = "Addresses of the Kafka brokers; overrides kafka.bootstrap-servers.")
  private Optional<String> bootstrapServers;

  @Option(
      names = "--topic-prefix",
      paramLabel = "PREFIX",
      description = "Prefix of every topic name; overrides kafka.topic-prefix.")
  private Optional<String> topicPrefix;

  @Option(
      names = "--cluster",
      paramLabel = "DIR",
      description = "Directory of a cluster started with 'millrace cluster', to use its Kafka.")
  private Optional<Path> cluster;

  /** The configuration with absolute paths, after a check that Kafka listens. */
  MillraceConfig load() throws IOException {
    if (cluster.isPresent() && bootstrapServers.isPresent()) {
      throw new UserException("give --bootstrap-servers or --cluster, not both");
    }
    List<String> settings = new ArrayList<>(source.settings());
    bootstrapServers.ifPresent(servers -> settings.add("kafka.bootstrap-servers=" + servers));
    topicPrefix.ifPresent(prefix -> settings.add("kafka.topic-prefix=" + prefix));
    if (cluster.isPresent()) {
      settings.add("kafka.bootstrap-servers=" + ClusterOptions.kafkaOf(cluster.get()));
    }
    MillraceConfig config = ConfigLoader.load(source.file(), settings).withAbsolutePaths();
    FileSystems.initialize(config.flink().resolvedProperties());
    KafkaSettings kafka = JobSettings.kafka(config);
    KafkaPorts.requireListener(kafka, "kafka.bootstrap-servers");
    return config;
  }

  /** Directory of the cluster, if one was named. */
  Optional<Path> cluster() {
    return cluster;
  }
}
