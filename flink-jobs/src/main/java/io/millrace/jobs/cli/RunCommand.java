package io.millrace.jobs.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.InitialModel;
import io.millrace.jobs.Job;
import io.millrace.jobs.JobSettings;
import io.millrace.jobs.LocalCluster;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.Suggestion;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.tokenizer.ChatTemplate;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.apache.flink.api.common.JobExecutionResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace run}. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a job (supervised, reward-model, rollout, ppo) on Flink in this process.",
      "With --bounded it stops at the end of its topics as they stand now, takes a last Flink"
          + " checkpoint, publishes, and prints a summary as JSON on its last line.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace run reward-model --bounded --set kafka.bootstrap-servers=localhost:9092",
      "  millrace run ppo --config millrace.yaml --set ppo.batch-size=256",
    })
final class RunCommand implements Callable<Integer> {

  private static final int SLOTS = 16;
  private static final String TOPICS = "topics/";
  private static final Duration EVERY = Duration.ofSeconds(10);

  @Parameters(paramLabel = "JOB", description = "supervised, reward-model, rollout or ppo.")
  private String jobId;

  @Option(names = "--config", description = "YAML file (docs/configuration.md has every option).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets an option on top of the file, such as ppo.kl=0.02; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Option(names = "--bounded", description = "Stop at the end of the topics as they stand now.")
  private boolean bounded;

  private String told = "";

  @Override
  public Integer call() throws Exception {
    Job job =
        Job.named(jobId)
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
    MillraceConfig configured = ConfigLoader.load(Optional.ofNullable(config), settings);
    requireInitial(configured);
    requireWritable("checkpoints.directory", configured.checkpoints().directory());
    requireWritable("flink.state-directory", configured.flink().stateDirectory());
    KafkaSettings kafka = JobSettings.kafka(configured);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
    }
    MillraceConfig ready = InitialModel.ensure(configured);
    try (LocalCluster cluster = LocalCluster.start(Math.max(SLOTS, ready.flink().parallelism()))) {
      JobExecutionResult result;
      try (ProgressPrinter progress = new ProgressPrinter(kafka)) {
        progress.start();
        result =
            cluster.await(cluster.submit(job.graph(ready, bounded)), EVERY, counts -> tell(counts));
      }
      System.out.println(summary(job, result, ready));
    }
    return 0;
  }

  private static void requireInitial(MillraceConfig config) {
    String initial = config.model().initial();
    if (!initial.isBlank()) {
      // Told here, in one line, rather than by a job that fails and restarts.
      Path directory = CheckpointStore.localPath(initial);
      try (CheckpointDirectory checkpoint = CheckpointDirectory.open(directory);
          Tokenizer tokenizer = Tokenizer.load(directory)) {
        if (checkpoint.kind() != CheckpointKind.POLICY) {
          throw new UserException(
              "model.initial %s is a %s; a job starts from a policy"
                  .formatted(initial, checkpoint.kind()));
        }
        ChatTemplate.of(tokenizer);
      }
    }
  }

  /** Told here rather than by a job that has learned and cannot publish. */
  private static void requireWritable(String option, String location) {
    Path directory = CheckpointStore.localPath(location);
    try {
      Files.createDirectories(directory);
    } catch (IOException e) {
      throw new UserException("%s %s cannot be made: %s".formatted(option, location, e));
    }
    if (!Files.isWritable(directory)) {
      throw new UserException("%s %s is not writable".formatted(option, location));
    }
  }

  /** One line on standard error whenever records came in. */
  private void tell(Map<String, Object> counts) {
    String read =
        counts.entrySet().stream()
            .filter(count -> count.getKey().startsWith(TOPICS) && !count.getValue().equals(0L))
            .map(count -> count.getKey().substring(TOPICS.length()) + " " + count.getValue())
            .collect(Collectors.joining(", "));
    if (!read.isEmpty() && !read.equals(told)) {
      System.err.println(jobId + " read " + read);
      told = read;
    }
  }

  private static String summary(Job job, JobExecutionResult result, MillraceConfig config) {
    ObjectNode root = new ObjectMapper().createObjectNode();
    root.put("job", job.id());
    root.put("wall_seconds", result.getNetRuntime() / 1000.0);
    root.put("checkpoints", Path.of(config.checkpoints().directory()).toAbsolutePath().toString());
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
