package io.millrace.cluster;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.IllegalConfigurationException;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessSpec;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessUtils;
import org.apache.flink.runtime.jobmanager.JobManagerProcessSpec;
import org.apache.flink.runtime.jobmanager.JobManagerProcessUtils;
import org.apache.flink.runtime.util.config.memory.ProcessMemoryUtils;

/** The command lines of a cluster's processes, with memory flags as in Flink's own scripts. */
final class Processes {

  private static final Pattern SPACES = Pattern.compile("\\s+");
  private static final String BROKER_HEAP = "-Xmx512m";
  private static final String ZOOKEEPER_HEAP = "-Xmx128m";

  private final ClusterDirectory directory;
  private final Configuration flink;
  private final Ports ports;

  Processes(ClusterDirectory directory, Configuration flink, Ports ports) {
    this.directory = directory;
    this.flink = flink;
    this.ports = ports;
  }

  /**
   * Every process, in the order of their start.
   *
   * @throws IOException if the memory sizes do not fit each other
   */
  List<ProcessSpec> all(int taskManagers) throws IOException {
    try {
      List<ProcessSpec> all = new ArrayList<>(List.of(kafka(), zookeeper(), jobManager()));
      for (int i = 1; i <= taskManagers; i++) {
        all.add(taskManager(i));
      }
      return all;
    } catch (IllegalConfigurationException e) {
      throw new IOException(
          "the sizes --task-manager-memory, --tensor-memory and --job-manager-memory do not fit: "
              + (e.getCause() == null ? e : e.getCause()).getMessage(),
          e);
    }
  }

  private ProcessSpec kafka() {
    return java(
        "kafka",
        List.of(BROKER_HEAP, "-XX:+UseSerialGC"),
        ClusterProcess.Role.KAFKA,
        List.of(directory.kafka().toString(), Integer.toString(ports.kafka())));
  }

  private ProcessSpec zookeeper() {
    return java(
        "zookeeper",
        List.of(
            ZOOKEEPER_HEAP,
            "-XX:+UseSerialGC",
            // KiB by which its log grows; the default of 64 MiB suits large clusters.
            "-Dzookeeper.preAllocSize=1024"),
        ClusterProcess.Role.ZOOKEEPER,
        List.of(configuration().resolve("zoo.cfg").toString(), directory.zookeeper().toString()));
  }

  private ProcessSpec jobManager() {
    JobManagerProcessSpec memory = JobManagerProcessUtils.processSpecFromConfig(flink);
    List<String> arguments = new ArrayList<>(flinkArguments("jobmanager", ports.metrics().get(0)));
    arguments.addAll(List.of("--executionMode", "cluster", "--host", Ports.HOST));
    arguments.addAll(words(JobManagerProcessUtils.generateDynamicConfigsStr(memory)));
    return java(
        "jobmanager",
        words(JobManagerProcessUtils.generateJvmParametersStr(memory, flink)),
        ClusterProcess.Role.JOBMANAGER,
        arguments);
  }

  private ProcessSpec taskManager(int number) {
    TaskExecutorProcessSpec memory = TaskExecutorProcessUtils.processSpecFromConfig(flink);
    String name = "taskmanager-" + number;
    List<String> arguments = new ArrayList<>(flinkArguments(name, ports.metrics().get(number)));
    // A TaskManager that restarts under its old name makes Flink drop the dead one at once.
    arguments.addAll(List.of("-D", TaskManagerOptions.TASK_MANAGER_RESOURCE_ID.key() + "=" + name));
    arguments.addAll(words(TaskExecutorProcessUtils.generateDynamicConfigsStr(memory)));
    return java(
        name,
        words(ProcessMemoryUtils.generateJvmParametersStr(memory)),
        ClusterProcess.Role.TASKMANAGER,
        arguments);
  }

  private Path configuration() {
    return directory.configuration();
  }

  private List<String> flinkArguments(String name, int metricsPort) {
    return List.of(
        "--configDir",
        configuration().toString(),
        "-D",
        "metrics.reporter.prometheus.port=" + metricsPort,
        "-D",
        CoreOptions.TMP_DIRS.key() + "=" + directory.temporary(name));
  }

  private ProcessSpec java(
      String name, List<String> jvm, ClusterProcess.Role role, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JvmFlags.required());
    command.addAll(jvm);
    command.add("-Djava.io.tmpdir=" + directory.temporary(name));
    command.add("-Dlog.file=" + directory.log(name));
    command.add("-Dlog4j2.configurationFile=" + configuration().resolve("log4j2.properties"));
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(ClusterProcess.class.getName());
    command.add(role.name());
    command.addAll(arguments);
    return new ProcessSpec(name, command);
  }

  private static List<String> words(String text) {
    return SPACES.splitAsStream(text.strip()).toList();
  }
}
