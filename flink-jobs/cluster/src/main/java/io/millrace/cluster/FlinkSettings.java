package io.millrace.cluster;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.millrace.cluster.metrics.LoopbackPrometheusReporterFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.HeartbeatManagerOptions;
import org.apache.flink.configuration.HighAvailabilityOptions;
import org.apache.flink.configuration.JobManagerOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.configuration.WebOptions;

/** Flink's configuration: {@code config.yaml} beside this class, overridden by a cluster's own. */
public final class FlinkSettings {

  private static final YAMLMapper YAML =
      YAMLMapper.builder().disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER).build();

  private FlinkSettings() {}

  /** Settings of every cluster. */
  public static Map<String, String> common() {
    try {
      return YAML.readValue(JvmFlags.resource("config.yaml"), new TypeReference<>() {});
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("config.yaml in the jar is damaged", e);
    }
  }

  static Configuration of(ClusterDirectory directory, ClusterSettings settings, Ports ports) {
    Configuration flink = Configuration.fromMap(common());
    // On one machine a port that refuses a heartbeat is that of a dead process: the job must not be
    // deployed to its slots when it restarts after flink.restart-delay.
    flink.set(HeartbeatManagerOptions.HEARTBEAT_INTERVAL, Duration.ofMillis(500));
    flink.set(HeartbeatManagerOptions.HEARTBEAT_RPC_FAILURE_THRESHOLD, 1);
    flink.addAll(Configuration.fromMap(settings.properties()));
    settings.slots().ifPresent(n -> flink.set(TaskManagerOptions.NUM_TASK_SLOTS, n));
    settings
        .taskManagerMemory()
        .ifPresent(size -> flink.set(TaskManagerOptions.TOTAL_PROCESS_MEMORY, size));
    settings
        .tensorMemory()
        .ifPresent(size -> flink.set(TaskManagerOptions.TASK_OFF_HEAP_MEMORY, size));
    settings
        .jobManagerMemory()
        .ifPresent(size -> flink.set(JobManagerOptions.TOTAL_PROCESS_MEMORY, size));

    // Without authentication, processes listen on this machine only.
    flink.set(JobManagerOptions.ADDRESS, Ports.HOST);
    flink.set(JobManagerOptions.BIND_HOST, Ports.HOST);
    flink.set(RestOptions.ADDRESS, Ports.HOST);
    flink.set(RestOptions.BIND_ADDRESS, Ports.HOST);
    flink.set(RestOptions.PORT, ports.rest());
    flink.set(RestOptions.BIND_PORT, Integer.toString(ports.rest()));
    flink.set(
        WebOptions.ACCESS_CONTROL_ALLOW_ORIGIN, "http://%s:%d".formatted(Ports.HOST, ports.rest()));
    flink.setString(
        "metrics.reporter.prometheus.factory.class",
        LoopbackPrometheusReporterFactory.class.getName());
    flink.set(JobManagerOptions.ARCHIVE_DIR, directory.archive().toUri().toString());
    flink.set(TaskManagerOptions.HOST, Ports.HOST);
    flink.set(TaskManagerOptions.BIND_HOST, Ports.HOST);
    flink.set(CoreOptions.TMP_DIRS, directory.temporary().toString());

    flink.set(HighAvailabilityOptions.HA_MODE, "zookeeper");
    flink.set(HighAvailabilityOptions.HA_CLUSTER_ID, "/millrace");
    flink.set(
        HighAvailabilityOptions.HA_STORAGE_PATH, directory.highAvailability().toUri().toString());
    flink.set(HighAvailabilityOptions.HA_ZOOKEEPER_QUORUM, Ports.HOST + ":" + ports.zookeeper());
    flink.set(CheckpointingOptions.SAVEPOINT_DIRECTORY, directory.savepoints().toUri().toString());
    return flink;
  }

  /** Writes the file for {@code --configDir}, readable by its owner only: it may hold secrets. */
  static void write(Configuration flink, Path directory) throws IOException {
    Path next = Files.createTempFile(directory, "config", ".yaml");
    Files.writeString(next, YAML.writeValueAsString(new TreeMap<>(flink.toMap())));
    Files.move(
        next,
        directory.resolve("config.yaml"),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }
}
