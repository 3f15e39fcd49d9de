package io.millrace.cli.option;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.supervised.SupervisedSection;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Nearest;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.util.FileUtils;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** A job and its configuration. */
public final class JobOptions {

  @Parameters(
      paramLabel = "JOB",
      description =
          "Job: supervised, reward-model, rollout, ppo, preference, rejection-sampling or"
              + " evaluation.")
  private String jobId;

  @Mixin private ConfigSource source;

  /**
   * A job whose model, topics and directories exist.
   *
   * @param kafkaCluster Kafka's id of the cluster
   */
  public record Ready(Job job, MillraceConfig config, String kafkaCluster) {

    /** The job's name in Flink, and that of its consumer group. */
    public String name() {
      return config.kafka().topicPrefix() + job.id();
    }

    public KafkaSettings kafka() {
      return JobSettings.kafka(config);
    }

    public StreamGraph graph(boolean bounded) {
      return job.graph(config, bounded);
    }

    /** The summary of a bounded run as one line of JSON. */
    public String summary(JobExecutionResult execution) {
      ObjectNode root = new ObjectMapper().createObjectNode();
      root.put("job", job.id());
      root.put("wall_seconds", execution.getNetRuntime() / 1000.0);
      // Absolute, or a URI.
      root.put("checkpoints", config.checkpoints().directory());
      new TreeMap<>(execution.getAllAccumulatorResults())
          .forEach(
              (name, result) -> {
                if (result instanceof Map<?, ?> map) {
                  ObjectNode node = root.putObject(name);
                  new TreeMap<>(map).forEach((key, value) -> put(node, key.toString(), value));
                } else if (result instanceof List<?> texts) {
                  ArrayNode node = root.putArray(name);
                  texts.forEach(text -> node.add(text.toString()));
                } else {
                  put(root, name, result);
                }
              });
      return root.toString();
    }

    private static void put(ObjectNode node, String path, Object value) {
      int slash = path.indexOf('/');
      if (slash > 0) {
        String section = path.substring(0, slash);
        ObjectNode child =
            node.get(section) instanceof ObjectNode there ? there : node.putObject(section);
        put(child, path.substring(slash + 1), value);
      } else if (value instanceof Long number) {
        node.put(path, number);
      } else if (value instanceof Double number && number == Math.rint(number)) {
        node.put(path, number.longValue());
      } else {
        node.put(path, ((Number) value).doubleValue());
      }
    }
  }

  /**
   * Loads and checks the configuration, and makes topics and the initial model if they do not
   * exist.
   *
   * @param bootstrapServers default of {@code kafka.bootstrap-servers}
   */
  public Ready ready(Optional<String> bootstrapServers) throws IOException {
    Job job = job(jobId);
    MillraceConfig configured = load(job, source, bootstrapServers);
    FileSystems.initialize(configured.flink().resolvedProperties());
    requireUsable(job, configured);
    if (configured.model().initial().isBlank()) {
      System.err.println(
          "millrace: model.initial is empty: the job starts from a new model with random weights"
              + " (set model.initial to your policy)");
    }
    KafkaPorts.requireListener(JobSettings.kafka(configured), "kafka.bootstrap-servers");
    return ready(job, configured);
  }

  /** Like {@link #ready}, in a process of Flink, which has initialized its file systems. */
  public Ready readyInFlink() throws IOException {
    Job job = job(jobId);
    MillraceConfig configured = load(job, source, Optional.empty());
    requireUsable(job, configured);
    return ready(job, configured);
  }

  private static MillraceConfig load(
      Job job, ConfigSource source, Optional<String> bootstrapServers) {
    return ConfigLoader.load(
            source.file(),
            source.settings(),
            bootstrapServers,
            job.sections(),
            problem ->
                System.err.printf(
                    "millrace: warning: %s (%s does not use this section)%n", problem, job.id()))
        .withAbsolutePaths();
  }

  private static Job job(String id) {
    return Job.named(id)
        .orElseThrow(
            () ->
                new UserException(
                    "JOB must be a job of Millrace, not '"
                        + id
                        + "'"
                        + Nearest.to(id, Arrays.stream(Job.values()).map(Job::id).toList())
                            .map(near -> "; did you mean " + near + "?")
                            .orElse("; the jobs are " + Job.ids())));
  }

  /**
   * Checks all that {@link #ready} checks for a job, without Kafka and without making anything that
   * stays.
   *
   * @param id of the job
   */
  public static Job check(String id, ConfigSource source) throws IOException {
    Job job = job(id);
    MillraceConfig configured = load(job, source, Optional.empty());
    FileSystems.initialize(configured.flink().resolvedProperties());
    requireUsable(job, configured);
    if (!configured.model().initial().isBlank()) {
      var _ = job.graph(configured, false);
      return job;
    }
    Path scratch = Files.createTempDirectory("millrace-check");
    try {
      String initial = scratch.resolve("initial").toString();
      InitialModel.create(configured.model(), Path.of(initial));
      var _ = job.graph(configured.withInitial(initial), false);
    } finally {
      FileUtils.deleteDirectory(scratch.toFile());
    }
    return job;
  }

  private static void requireUsable(Job job, MillraceConfig configured) throws IOException {
    requireInitial(configured);
    if (job == Job.SUPERVISED) {
      requireDemonstrations(configured.section(SupervisedSection.class));
    }
    requireWritable("checkpoints.directory", configured.checkpoints().directory());
    requireWritable("flink.state-directory", configured.flink().stateDirectory());
  }

  private static Ready ready(Job job, MillraceConfig configured) throws IOException {
    KafkaSettings kafka = JobSettings.kafka(configured);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
      admin.require(TopicLayout.of(kafka));
      admin.requireTransactionTimeout();
      // A registry that refuses a schema would fail the job again after each restart.
      kafka.requireRegistry();
      return new Ready(job, InitialModel.ensure(configured), admin.clusterId());
    }
  }

  /**
   * Checks {@code model.initial}, before a job starts from it, fails and restarts.
   *
   * @throws UserException if it is not a policy
   */
  public static void requireInitial(MillraceConfig config) throws IOException {
    String initial = config.model().initial();
    if (!initial.isBlank()) {
      try (LocalCheckpoint files = JobSettings.cache(config).openDescription(initial);
          Tokenizer tokenizer = Tokenizer.load(files.directory())) {
        if (CheckpointStore.isLocal(initial)) {
          CheckpointDirectory.open(files.directory()).close();
        }
        CheckpointOutline checkpoint = CheckpointOutline.read(files.directory());
        if (checkpoint.kind() != CheckpointKind.POLICY) {
          throw new UserException(
              "model.initial must be a policy, not %s, which is a %s"
                  .formatted(initial, checkpoint.kind()));
        }
        config.model().requireAdapter(initial, checkpoint.adapter());
        tokenizer.requireFits(checkpoint.config().vocabSize());
        ChatTemplate.of(tokenizer);
      }
    }
  }

  private static void requireDemonstrations(SupervisedSection section) throws IOException {
    if (section.fromFile()) {
      if (Files.exists(Path.of(section.file()))) {
        PlainFiles.require(Path.of(section.file()));
      }
      if (!Files.isReadable(Path.of(section.file()))) {
        throw new UserException(
            "supervised.file cannot be read: %s; correct the path or its permissions"
                .formatted(section.file()));
      }
      if (Files.size(Path.of(section.file())) == 0) {
        throw new UserException("supervised.file must not be empty: %s".formatted(section.file()));
      }
    }
  }

  /**
   * Checks that a job will be able to publish, before it learns.
   *
   * @throws UserException naming the option
   */
  public static void requireWritable(String option, String location) {
    try {
      CheckpointStore.requireWritable(location);
    } catch (IOException e) {
      throw new UserException(
          "%s must be a writable directory, not %s (%s)".formatted(option, location, e));
    }
  }
}
