package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The job as it is submitted, on a real broker and cluster. */
class EvaluationJobTest {

  private static final Duration PATIENCE = Duration.ofSeconds(90);

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static LocalCluster cluster;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    cluster = LocalCluster.start(4);
  }

  @AfterAll
  static void stop() throws Exception {
    cluster.close();
    broker.close();
  }

  /** A run with topics and checkpoints of its own. */
  private record Run(EvaluationFixture fixture) {

    static Run of(String name, String... settings) throws IOException {
      List<String> all =
          new ArrayList<>(
              List.of(
                  "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                  "kafka.topic-prefix=" + name + ".",
                  "flink.checkpoint-interval=100ms",
                  "flink.restart-delay=50ms"));
      all.addAll(List.of(settings));
      Run run = new Run(new EvaluationFixture(directory.resolve(name), all));
      try (TopicAdmin admin = new TopicAdmin(run.kafka())) {
        admin.createAll(1, 1);
      }
      return run;
    }

    MillraceConfig config() {
      return fixture.config();
    }

    KafkaSettings kafka() {
      return JobSettings.kafka(config());
    }

    void announce(long... policies) throws IOException {
      try (RecordWriter writer = new RecordWriter(kafka())) {
        for (long version : policies) {
          writer.send(Topic.POLICY_CHECKPOINTS, fixture.policy(version));
        }
        writer.flush();
      }
    }

    void announceRewardModels(long version) throws IOException {
      try (RecordWriter writer = new RecordWriter(kafka())) {
        for (Objective objective : Objective.values()) {
          writer.send(Topic.REWARD_CHECKPOINTS, fixture.rewardModel(objective, version));
        }
        writer.flush();
      }
    }

    JobExecutionResult bounded() throws Exception {
      return cluster.await(cluster.submit(Job.EVALUATION.graph(config(), true)));
    }

    <T extends SpecificRecordBase> List<T> read(Topic<T> topic) throws IOException {
      List<T> records = new ArrayList<>();
      try (RecordReader<T> reader = RecordReader.fromEarliest(kafka(), topic)) {
        reader.readToEnd(entry -> records.add(entry.record().orElseThrow()));
      }
      return records;
    }

    List<Promotion> promotions() throws IOException {
      return read(Topic.PROMOTIONS);
    }

    /** Verdicts with all that does not depend on time or place. */
    List<String> verdicts() throws IOException {
      return promotions().stream()
          .map(
              p ->
                  "%s %d serve %d, %s %s"
                      .formatted(
                          p.getVerdict(),
                          p.getEvaluated(),
                          p.getVersion(),
                          p.getReasons(),
                          new TreeMap<>(p.getMetrics())))
          .toList();
    }

    List<Long> evaluated() throws IOException {
      return promotions().stream().map(Promotion::getEvaluated).toList();
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Double> summary(JobExecutionResult result) {
    return (Map<String, Double>) result.getAllAccumulatorResults().get("evaluation");
  }

  @Test
  void aRunThatFailsInTheMiddleComesToTheSameVerdictsEachOnce() throws Exception {
    Run straight = Run.of("straight");
    Run killed = Run.of("killed", FailingJudge.settings("killed", 3));
    for (Run run : List.of(straight, killed)) {
      run.announce(1, 2, 3, 4);
      run.announceRewardModels(1);
      run.announceRewardModels(2);
    }
    Map<String, Double> expected = new TreeMap<>(summary(straight.bounded()));
    Map<String, Double> actual = new TreeMap<>(summary(killed.bounded()));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened");
    assertEquals(expected, actual);
    assertEquals(4, actual.get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L), killed.evaluated());
    assertEquals(straight.verdicts(), killed.verdicts());
    Promotion last = killed.promotions().getLast();
    assertTrue(last.getTime().isAfter(Instant.EPOCH));
    assertEquals(2.0, last.getMetrics().get("reward_model/safety/version"));
    // Each reward model was measured on the held-out judgments, both versions of both.
    assertEquals(
        4,
        killed.read(Topic.TRAINING_METRICS).stream()
            .map(TrainingMetrics::getMetrics)
            .filter(
                metrics ->
                    metrics.containsKey("reward_model/safety/accuracy/all")
                        || metrics.containsKey("reward_model/helpfulness/accuracy/all"))
            .count());

    // A later run, which has no state, goes on from the topic.
    killed.announce(5);
    assertEquals(1, summary(killed.bounded()).get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), killed.evaluated());
    straight.announce(5);
    straight.bounded();
    assertEquals(straight.verdicts(), killed.verdicts());
  }

  @Test
  void anEndlessRunFollowsWhatIsAnnouncedThroughAFailure() throws Exception {
    Run run = Run.of("endless", FailingJudge.settings("endless", 1));
    run.announceRewardModels(1);
    JobID job = cluster.submit(Job.EVALUATION.graph(run.config(), false));
    for (long version = 1; version <= 4; version++) {
      run.announce(version);
      awaitVerdicts(run, (int) version);
    }
    assertEquals(List.of(1L, 2L, 3L, 4L), run.evaluated());
    Map<String, Double> summary = summary(cluster.drain(job, directory.resolve("savepoints")));
    assertEquals(1, summary.get("restarts"), "the failure never happened");
    assertEquals(4, summary.get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L), run.evaluated());
  }

  private static void awaitVerdicts(Run run, int count) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (run.promotions().size() < count) {
      assertTrue(System.nanoTime() < deadline, run.evaluated() + " after " + PATIENCE);
    }
  }

  @Test
  void whatCannotWorkIsToldWhereTheJobIsSubmitted() throws Exception {
    assertRefused("evaluation.prompts must name a file", "evaluation.prompts=");
    assertRefused("evaluation.judge no.Judge is neither", "evaluation.judge=no.Judge");
    assertRefused("held-out prompt held-out-0 has", "evaluation.max-tokens=250");
  }

  private static void assertRefused(String message, String setting) throws IOException {
    MillraceConfig config =
        new EvaluationFixture(directory.resolve("refused"), List.of(setting)).config();
    RuntimeException e =
        assertThrows(RuntimeException.class, () -> Job.EVALUATION.graph(config, true));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertFalse(e.getMessage().contains("Exception"), e.getMessage());
  }
}
