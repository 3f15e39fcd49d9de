package io.millrace.cli.option;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.Suggestion;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.supervised.SupervisedSection;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.streaming.api.graph.StreamGraph;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Which job is to run, and with what configuration. */
public final class JobOptions {

  @Parameters(
      paramLabel = "JOB",
      description = "supervised, reward-model, rollout, ppo, rejection-sampling or evaluation.")
  private String jobId;

  @Option(names = "--config", description = "YAML file (docs/configuration.md has every option).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets an option on top of the file, such as ppo.kl=0.02; may be repeated.")
  private List<String> settings = new ArrayList<>();

  /** A job with all that it needs in place. */
  public record Ready(Job job, MillraceConfig config) {

    public KafkaSettings kafka() {
      return JobSettings.kafka(config);
    }

    public StreamGraph graph(boolean bounded) {
      return job.graph(config, bounded);
    }

    /** What a bounded run leaves, as one line of JSON. */
    public String summary(JobExecutionResult result) {
      ObjectNode root = new ObjectMapper().createObjectNode();
      root.put("job", job.id());
      root.put("wall_seconds", result.getNetRuntime() / 1000.0);
      // Absolute, or a URI.
      root.put("checkpoints", config.checkpoints().directory());
      new TreeMap<>(result.getAllAccumulatorResults())
          .forEach(
              (name, figures) -> {
                if (figures instanceof Map<?, ?> map) {
                  ObjectNode node = root.putObject(name);
                  new TreeMap<>(map).forEach((key, value) -> put(node, key.toString(), value));
                } else if (figures instanceof List<?> texts) {
                  ArrayNode node = root.putArray(name);
                  texts.forEach(text -> node.add(text.toString()));
                } else {
                  put(root, name, figures);
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
   * Checks the configuration, makes topics and the initial model where there are none.
   *
   * @param bootstrapServers the brokers where the configuration names none
   */
  public Ready ready(Optional<String> bootstrapServers) throws IOException {
    Job job = job();
    MillraceConfig configured = load(bootstrapServers);
    FileSystems.initialize(configured.flink().properties());
    return ready(job, configured);
  }

  /** The same in a process of Flink's, whose file systems are as that was told. */
  public Ready readyInFlink() throws IOException {
    return ready(job(), load(Optional.empty()));
  }

  private MillraceConfig load(Optional<String> bootstrapServers) {
    return ConfigLoader.load(Optional.ofNullable(config), settings, bootstrapServers)
        .withAbsolutePaths();
  }

  private Job job() {
    return Job.named(jobId)
        .orElseThrow(
            () ->
                new UserException(
                    "there is no job '"
                        + jobId
                        + "'"
                        + Suggestion.nearest(
                                jobId, Arrays.stream(Job.values()).map(Job::id).toList())
                            .map(near -> "; did you mean " + near + "?")
                            .orElse("; there are " + Job.ids())));
  }

  private static Ready ready(Job job, MillraceConfig configured) throws IOException {
    requireInitial(configured);
    requireDemonstrations(configured.section(SupervisedSection.class));
    requireWritable("checkpoints.directory", configured.checkpoints().directory());
    requireWritable("flink.state-directory", configured.flink().stateDirectory());
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(configured))) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
    }
    return new Ready(job, InitialModel.ensure(configured));
  }

  public static void requireInitial(MillraceConfig config) throws IOException {
    String initial = config.model().initial();
    if (!initial.isBlank()) {
      // Told here, in one line, rather than by a job that fails and restarts.
      try (LocalCheckpoint files = JobSettings.cache(config).openDescription(initial);
          Tokenizer tokenizer = Tokenizer.load(files.directory())) {
        if (CheckpointStore.isLocal(initial)) {
          CheckpointDirectory.open(files.directory()).close();
        }
        CheckpointOutline checkpoint = CheckpointOutline.read(files.directory());
        if (checkpoint.kind() != CheckpointKind.POLICY) {
          throw new UserException(
              "model.initial %s is a %s; a job starts from a policy"
                  .formatted(initial, checkpoint.kind()));
        }
        tokenizer.requireFits(checkpoint.config().vocabSize());
        ChatTemplate.of(tokenizer);
      }
    }
  }

  private static void requireDemonstrations(SupervisedSection section) throws IOException {
    if (section.fromFile()) {
      if (!Files.isReadable(Path.of(section.file()))) {
        throw new UserException("supervised.file %s cannot be read".formatted(section.file()));
      }
      if (Files.size(Path.of(section.file())) == 0) {
        throw new UserException("supervised.file %s is empty".formatted(section.file()));
      }
    }
  }

  /** Told here rather than by a job that has learned and cannot publish. */
  public static void requireWritable(String option, String location) {
    try {
      CheckpointStore.requireWritable(location);
    } catch (IOException e) {
      throw new UserException("%s %s is not writable: %s".formatted(option, location, e));
    }
  }
}
