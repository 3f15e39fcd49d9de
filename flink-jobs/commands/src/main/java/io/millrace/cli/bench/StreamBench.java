package io.millrace.cli.bench;

import com.sun.management.OperatingSystemMXBean;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.apache.flink.api.common.JobID;

/**
 * Compares the PPO job, from Kafka to published versions with Flink checkpoints, with scoring and
 * updates alone on the same batches. The two take turns in going first, and each warms up with a
 * batch of its own.
 */
final class StreamBench {

  private static final long SEED = 1;
  private static final int VOCABULARY = 256;
  private static final Duration STALL = Duration.ofMinutes(4);

  private final Configurations configurations;
  private final LocalCluster cluster;
  private final Map<Objective, RewardCheckpoint> models;
  private final int iterations;
  private final List<List<Rollout>> batches;
  private final OperatingSystemMXBean system =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  /** Makes the configuration of a repetition, with its own topics and checkpoints. */
  interface Configurations {
    MillraceConfig of(int repetition) throws IOException;
  }

  /** Wall-clock time and processor time of one repetition. */
  private record Taken(double seconds, double cpuSeconds) {}

  /**
   * @param models reward models to announce to the job
   * @param iterations measured in each repetition
   * @param length tokens of each rollout
   * @param response tokens of each rollout that belong to the response
   */
  StreamBench(
      Configurations configurations,
      LocalCluster cluster,
      Map<Objective, RewardCheckpoint> models,
      int iterations,
      int length,
      int response)
      throws IOException {
    this.configurations = configurations;
    this.cluster = cluster;
    this.models = models;
    this.iterations = iterations;
    this.batches = batches(configurations.of(0), iterations + 1, length, response);
  }

  /** Random rollouts; each has the policy version that learns from it. */
  private static List<List<Rollout>> batches(
      MillraceConfig config, int count, int length, int response) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<List<Rollout>> batches = new ArrayList<>();
    for (int batch = 0; batch < count; batch++) {
      List<Rollout> rollouts = new ArrayList<>();
      for (int i = 0; i < config.section(PpoSection.class).batchSize(); i++) {
        rollouts.add(
            Rollout.newBuilder()
                .setRolloutId(batch + "/" + i)
                .setPromptId("p" + batch + "/" + i)
                .setDialogue(List.of(new Turn(Role.USER, "A prompt like any other")))
                .setIsSafety(i % 4 == 0)
                .setPromptTokens(tokens(random, length - response))
                .setResponseTokens(tokens(random, response))
                .setLogProbs(
                    Collections.nCopies(response, (float) -Math.log(config.model().vocabSize())))
                .setResponseText("A response like any other")
                .setFinishReason(FinishReason.STOP)
                .setModel(config.model().name())
                .setPolicyVersion(batch)
                .setTemperature((float) config.section(RolloutSection.class).temperature())
                .setTopP(1)
                .setSeed(i)
                .setSource("bench")
                .setTime(Instant.EPOCH)
                .build());
      }
      batches.add(rollouts);
    }
    return batches;
  }

  private static List<Integer> tokens(SplittableRandom random, int count) {
    return random.ints(count, 0, VOCABULARY).boxed().toList();
  }

  /** Runs both measurements so many times. */
  StreamLine run(int repetitions) throws Exception {
    double[] bare = new double[repetitions];
    double[] stream = new double[repetitions];
    double[] shares = new double[repetitions];
    double bareCpu = 0;
    double streamCpu = 0;
    for (int i = 0; i < repetitions; i++) {
      MillraceConfig config = configurations.of(i);
      Taken first = i % 2 == 0 ? bare(config) : stream(config);
      Taken second = i % 2 == 0 ? stream(config) : bare(config);
      Taken alone = i % 2 == 0 ? first : second;
      Taken streamed = i % 2 == 0 ? second : first;
      bare[i] = alone.seconds();
      stream[i] = streamed.seconds();
      shares[i] = alone.seconds() / streamed.seconds();
      bareCpu += alone.cpuSeconds() / repetitions;
      streamCpu += streamed.cpuSeconds() / repetitions;
    }
    MillraceConfig config = configurations.of(0);
    Rollout any = batches.get(0).get(0);
    int length = any.getPromptTokens().size() + any.getResponseTokens().size();
    double tokens = (double) iterations * config.section(PpoSection.class).batchSize() * length;
    return new StreamLine("stream")
        .put("hidden", config.model().hiddenSize())
        .put("layers", config.model().layers())
        .put("batch", config.section(PpoSection.class).batchSize())
        .put("mini_batch", config.section(PpoSection.class).miniBatchSize())
        .put("length", length)
        .put("response", any.getResponseTokens().size())
        .put("iterations", iterations)
        .put("repetitions", repetitions)
        .put("flink_checkpoint_interval_ms", config.flink().checkpointInterval().toMillis())
        .put("bare_tokens_per_second", tokens / StreamLine.quantile(bare, 0.5))
        .put("stream_tokens_per_second", tokens / StreamLine.quantile(stream, 0.5))
        .put("ratio", StreamLine.quantile(shares, 0.5))
        .put("lowest_ratio", StreamLine.quantile(shares, 0))
        .put("bare_seconds", StreamLine.quantile(bare, 0.5))
        .put("stream_seconds", StreamLine.quantile(stream, 0.5))
        .put("bare_cpu_seconds", bareCpu)
        .put("stream_cpu_seconds", streamCpu);
  }

  private Taken bare(MillraceConfig config) throws IOException {
    try (BareLoop loop = new BareLoop(config, models)) {
      loop.learn(batches.get(0));
      long start = System.nanoTime();
      long cpu = system.getProcessCpuTime();
      for (int i = 1; i <= iterations; i++) {
        loop.learn(batches.get(i));
      }
      return new Taken((System.nanoTime() - start) / 1e9, (system.getProcessCpuTime() - cpu) / 1e9);
    }
  }

  /** Time from the first measured rollout to the end of the last iteration. */
  private Taken stream(MillraceConfig config) throws Exception {
    KafkaSettings kafka = JobSettings.kafka(config);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    try (RecordWriter writer = new RecordWriter(kafka);
        RecordReader<TrainingMetrics> metrics =
            RecordReader.fromEarliest(kafka, Topic.TRAINING_METRICS)) {
      for (RewardCheckpoint model : models.values()) {
        writer.send(Topic.REWARD_CHECKPOINTS, model);
      }
      send(writer, batches.get(0));
      JobID job = cluster.submit(Job.PPO.graph(config, false));
      awaitIteration(metrics, 1);
      Instant start = Instant.now();
      long cpu = system.getProcessCpuTime();
      for (List<Rollout> batch : batches.subList(1, batches.size())) {
        send(writer, batch);
      }
      Instant end = awaitIteration(metrics, iterations + 1);
      Taken taken =
          new Taken(
              Duration.between(start, end).toNanos() / 1e9,
              (system.getProcessCpuTime() - cpu) / 1e9);
      cluster.cancel(job);
      return taken;
    }
  }

  private static void send(RecordWriter writer, List<Rollout> rollouts) throws IOException {
    for (Rollout rollout : rollouts) {
      writer.send(Topic.ROLLOUTS, rollout);
    }
    writer.flush();
  }

  /** The end of an iteration; readers see its record after the next Flink checkpoint. */
  private static Instant awaitIteration(RecordReader<TrainingMetrics> metrics, long iteration)
      throws IOException {
    long deadline = System.nanoTime() + STALL.toNanos();
    while (System.nanoTime() < deadline) {
      Optional<RecordReader.Entry<TrainingMetrics>> next = metrics.next(Duration.ofSeconds(1));
      if (next.isPresent()) {
        TrainingMetrics found = next.get().record().orElseThrow();
        if (found.getStep() >= iteration) {
          return found.getTime();
        }
      }
    }
    throw new IOException(
        "PPO iteration %d did not end within %d minutes; see the log"
            .formatted(iteration, STALL.toMinutes()));
  }
}
