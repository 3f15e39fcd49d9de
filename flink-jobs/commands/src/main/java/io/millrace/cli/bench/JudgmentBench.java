package io.millrace.cli.bench;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.rewardmodel.RewardModelSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.apache.flink.api.common.JobID;

/**
 * The time from the sending of a judgment to the announcement of a reward checkpoint that learned
 * from it, at a constant rate of judgments. Judgments before the first announcement are the
 * warm-up.
 */
final class JudgmentBench {

  private static final long SEED = 1;
  private static final Duration STALL = Duration.ofMinutes(4);

  private final MillraceConfig config;
  private final LocalCluster cluster;

  /**
   * @param config with {@code reward-model.objectives} helpfulness alone
   */
  JudgmentBench(MillraceConfig config, LocalCluster cluster) {
    this.config = config;
    this.cluster = cluster;
  }

  /**
   * Runs the benchmark.
   *
   * @param judgments number of judgments to measure
   * @param perSecond judgments sent each second
   */
  StreamLine run(int judgments, double perSecond) throws Exception {
    KafkaSettings kafka = JobSettings.kafka(config);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    int warmUp = Math.toIntExact(config.section(RewardModelSection.class).publishEvery());
    int whole = warmUp + Math.ceilDiv(judgments, warmUp) * warmUp;
    DemoWorld world = new DemoWorld(SEED, InstantSource.system());
    List<Judgment> all =
        new Annotators(world, SEED, InstantSource.system()).archive(Objective.HELPFULNESS, whole);
    long[] sent = new long[whole];
    double[] latencies = new double[whole];
    Arrays.fill(latencies, Double.NaN);
    try (RecordWriter writer = new RecordWriter(kafka);
        RecordReader<RewardCheckpoint> announcements =
            RecordReader.fromEarliest(kafka, Topic.REWARD_CHECKPOINTS)) {
      JobID job = cluster.submit(Job.REWARD_MODEL.graph(config, false));
      send(writer, all.subList(0, warmUp));
      int covered = awaitAnnouncement(announcements);
      int first = warmUp;
      int next = warmUp;
      long start = System.nanoTime();
      while (covered < whole) {
        long due = start + (long) ((next - first) / perSecond * 1e9);
        if (next < whole && System.nanoTime() >= due) {
          sent[next] = System.nanoTime();
          send(writer, all.subList(next, next + 1));
          next++;
          continue;
        }
        Duration patience =
            next < whole ? Duration.ofNanos(Math.max(0, due - System.nanoTime())) : STALL;
        Optional<RecordReader.Entry<RewardCheckpoint>> found = announcements.next(patience);
        if (found.isEmpty()) {
          if (next == whole) {
            throw stalled();
          }
          continue;
        }
        long now = System.nanoTime();
        // A checkpoint of n judgments learned from the first n of the topic.
        int learned = Math.toIntExact(found.get().record().orElseThrow().getJudgments());
        for (int i = Math.max(first, covered); i < learned; i++) {
          latencies[i] = (now - sent[i]) / 1e6;
        }
        covered = learned;
      }
      cluster.cancel(job);
    }
    double[] measured = Arrays.copyOfRange(latencies, warmUp, whole);
    return new StreamLine("judgment-to-announcement")
        .put("hidden", config.model().hiddenSize())
        .put("layers", config.model().layers())
        .put("judgments", measured.length)
        .put("judgments_per_second", perSecond)
        .put("batch", config.section(RewardModelSection.class).batchSize())
        .put("publish_every", config.section(RewardModelSection.class).publishEvery())
        .put("flink_checkpoint_interval_ms", config.flink().checkpointInterval().toMillis())
        .put("p50_ms", StreamLine.quantile(measured, 0.5))
        .put("p95_ms", StreamLine.quantile(measured, 0.95));
  }

  private static void send(RecordWriter writer, List<Judgment> judgments) throws IOException {
    for (Judgment judgment : judgments) {
      writer.send(Topic.JUDGMENTS, judgment);
    }
    writer.flush();
  }

  private static int awaitAnnouncement(RecordReader<RewardCheckpoint> announcements)
      throws IOException {
    return announcements
        .next(STALL)
        .map(entry -> Math.toIntExact(entry.record().orElseThrow().getJudgments()))
        .orElseThrow(JudgmentBench::stalled);
  }

  private static IOException stalled() {
    return new IOException(
        "no reward checkpoint was announced for %d minutes; see the log"
            .formatted(STALL.toMinutes()));
  }
}
