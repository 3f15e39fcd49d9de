package io.millrace.jobs.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
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
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
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
    KafkaSettings kafka = JobSettings.kafka(configured);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    MillraceConfig ready = InitialModel.ensure(configured);
    try (LocalCluster cluster = LocalCluster.start(SLOTS)) {
      JobExecutionResult result;
      try (ProgressPrinter progress = new ProgressPrinter(kafka)) {
        progress.start();
        result = cluster.await(cluster.submit(job.graph(ready, bounded)));
      }
      System.out.println(summary(job, result, ready));
    }
    return 0;
  }

  private static void requireInitial(MillraceConfig config) {
    String initial = config.model().initial();
    if (!initial.isBlank()) {
      // Told here, in one line, rather than by a job that fails and restarts.
      CheckpointDirectory.open(Path.of(initial)).close();
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
              ObjectNode node = root.putObject(name);
              if (figures instanceof Map<?, ?> map) {
                new TreeMap<>(map).forEach((key, value) -> put(node, key.toString(), value));
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
    } else if (value instanceof Double number && number == Math.rint(number)) {
      node.put(path, number.longValue());
    } else {
      node.put(path, ((Number) value).doubleValue());
    }
  }
}
