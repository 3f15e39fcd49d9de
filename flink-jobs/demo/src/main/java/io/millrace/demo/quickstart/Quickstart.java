package io.millrace.demo.quickstart;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The whole loop in one process: a broker, a Flink cluster with every job, applications that send
 * prompts, and annotators who judge the samples of the current policy.
 */
public final class Quickstart {

  static final int BATCH = 64;
  static final int SAMPLES_PER_PROMPT = 2;
  static final int MAX_TOKENS = 40;
  static final int EPOCHS = 3;

  private static final int SUPERVISED_BATCH = 10;

  /** A training sequence of 128 tokens holds three demonstrations of the demo world. */
  private static final int DEMONSTRATIONS_PER_SEQUENCE = 3;

  private static final int SLOTS = 24;

  private final QuickstartSettings settings;
  private final Progress progress;

  /** A quickstart that does not run yet. */
  public Quickstart(QuickstartSettings settings, Progress progress) {
    this.settings = settings;
    this.progress = progress;
  }

  /** Receives the report while Kafka still runs. */
  public interface Aftermath {
    /** Uses the report; Kafka and Flink stop when the method returns. */
    void accept(QuickstartReport report, String bootstrapServers)
        throws IOException, InterruptedException;
  }

  /** Starts something that runs beside the loop. */
  public interface Neighbour {
    /** Starts it, once Kafka runs and has its topics; the result is closed before Kafka stops. */
    Closeable start(MillraceConfig config, KafkaSettings kafka) throws IOException;
  }

  /** Runs the loop, hands over the report, and stops Kafka and Flink. */
  public void run(Aftermath aftermath) throws Exception {
    run((_, _) -> () -> {}, aftermath);
  }

  /** Runs the loop with something beside it. */
  public void run(Neighbour neighbour, Aftermath aftermath) throws Exception {
    long start = System.nanoTime();
    Files.createDirectories(settings.directory());
    try (EmbeddedBroker broker = EmbeddedBroker.start(settings.directory().resolve("kafka"), 0);
        LocalCluster cluster = LocalCluster.start(SLOTS)) {
      MillraceConfig config = config(broker.bootstrapServers());
      KafkaSettings kafka = JobSettings.kafka(config);
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      progress.stage(
          "Kafka and Flink run; seed %d%s, data in %s"
              .formatted(settings.seed(), world(), settings.directory()));
      try (Closeable _ = neighbour.start(config, kafka)) {
        QuickstartReport report;
        try (MetricsFollower metrics = new MetricsFollower(kafka);
            RecordWriter writer = new RecordWriter(kafka)) {
          report =
              new QuickstartLoop(settings, progress, cluster, kafka, metrics, writer)
                  .run(config, start);
        }
        aftermath.accept(report, broker.bootstrapServers());
      }
    }
  }

  private String world() {
    return settings.world().isPlain()
        ? ""
        : String.format(
            Locale.ROOT,
            ", hard world with %.0f %% adversarial judgments",
            100 * settings.world().adversarial());
  }

  private MillraceConfig config(String bootstrapServers) {
    Path directory = settings.directory();
    long updates =
        (long) settings.demonstrations()
            * EPOCHS
            / (SUPERVISED_BATCH * DEMONSTRATIONS_PER_SEQUENCE);
    List<String> options =
        List.of(
            "kafka.bootstrap-servers=" + bootstrapServers,
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "flink.state-directory=" + directory.resolve("flink"),
            "flink.checkpoint-interval=250ms",
            "flink.restart-delay=200ms",
            "model.seed=" + settings.seed(),
            "model.max-positions=128",
            "model.vocab-size=1024",
            "supervised.batch-size=" + SUPERVISED_BATCH,
            "supervised.epochs=" + EPOCHS,
            "supervised.learning-rate=4e-3",
            "supervised.warmup-steps=20",
            "supervised.schedule-steps=" + Math.max(21, updates),
            "supervised.sequence-length=128",
            "supervised.publish-every=1000000000",
            "reward-model.batch-size=16",
            "reward-model.learning-rate=1e-3",
            "reward-model.max-tokens=128",
            // PPO waits for the first version of each: the archive must suffice for it.
            "reward-model.publish-every=" + Math.min(256, settings.archive() / 2),
            "reward-model.max-wait=1s",
            "rollout.samples-per-prompt=" + SAMPLES_PER_PROMPT,
            "rollout.batch-size=" + BATCH / 2,
            "rollout.max-tokens=" + MAX_TOKENS,
            "rollout.max-prompt-tokens=80",
            "ppo.batch-size=" + BATCH,
            "ppo.mini-batch-size=32",
            "ppo.learning-rate=3.5e-4",
            "ppo.critic-learning-rate=1e-3",
            "ppo.kl=0.05",
            "ppo.score-batch-size=" + BATCH,
            "ppo.score-max-wait=1s",
            // No rollout is dropped: staleness may grow by one while a version is published.
            "ppo.max-staleness=" + (settings.versionsBehind() + 3),
            "ppo.optimizer.weight-decay=0");
    List<String> all = new ArrayList<>(options);
    all.addAll(settings.options());
    return ConfigLoader.load(Optional.empty(), all);
  }
}
