package io.millrace.connectors.flink.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestJobs;
import io.millrace.connectors.TestRecords;
import io.millrace.connectors.checkpoint.Announcements;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Retention;
import io.millrace.connectors.checkpoint.store.Retirement;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.checkpoint.store.StoreUnderTest;
import io.millrace.connectors.checkpoint.store.TestCheckpoint;
import io.millrace.connectors.flink.TopicInput;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.connector.sink2.Committer.CommitRequest;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CheckpointSinkTest {
  private static final Duration PATIENCE = Duration.ofSeconds(40);

  @TempDir Path flinkCheckpoints;
  @TempDir Path root;

  private CheckpointStore open(StoreUnderTest kind) {
    return new CheckpointStore(kind.root(root), root.resolve("scratch").toString());
  }

  @ParameterizedTest
  @EnumSource(names = {"LOCAL", "OBJECTS"})
  void everyVersionIsAnnouncedOnceThroughAFailure(StoreUnderTest kind) throws Exception {
    KafkaSettings settings = TestBroker.freshTopics();
    CheckpointStore store = open(kind);
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 1);
    DataStream<StagedCheckpoint> staged =
        TopicInput.of(Topic.PROMPTS)
            .kafka(settings)
            .job("trainer")
            .read(env)
            .keyBy(prompt -> 0)
            .process(new StageOne(store))
            .returns(StagedCheckpoint.class)
            .uid("trainer")
            .map(new TestJobs.FailOnce<>("version=5"))
            .returns(StagedCheckpoint.class);
    CheckpointSink.attach(staged, settings, store, Retention.all(), "trainer");
    JobClient job = env.executeAsync("trainer");
    List<Long> versions = new ArrayList<>();
    try (RecordReader<PolicyCheckpoint> reader =
        RecordReader.fromEarliest(settings, Topic.POLICY_CHECKPOINTS)) {
      send(settings, 3);
      await(reader, versions, 3);
      TestJobs.FailOnce.arm();
      send(settings, 4);
      await(reader, versions, 7);
      reader.readToEnd(entry -> versions.add(entry.record().orElseThrow().getVersion()));
    } finally {
      job.cancel().get();
    }
    assertFalse(TestJobs.FailOnce.armed(), "the failure never happened");
    assertEquals(LongStream.rangeClosed(1, 7).boxed().toList(), versions);
  }

  @ParameterizedTest
  @EnumSource(names = {"LOCAL", "OBJECTS"})
  void aCrashBetweenRenameAndAnnouncementIsRepaired(StoreUnderTest kind) throws IOException {
    KafkaSettings settings = TestBroker.freshTopics();
    CheckpointStore store = open(kind);
    StagedCheckpoint one = stage(store, 1);
    StagedCheckpoint two = stage(store, 2);
    CheckpointCommitter crashed = committer(settings, store);
    crashed.commit(List.of(request(one)));
    store.commit(two.files()); // The crash comes after the rename.

    RecordedMetrics metrics = new RecordedMetrics();
    try (CheckpointCommitter next =
        new CheckpointCommitter(
            store,
            new Announcer(settings, "test.checkpoints"),
            new Retirement(store, Retention.all(), Clock.systemUTC()),
            metrics)) {
      StagedCheckpoint three = stage(store, 3);
      next.commit(List.of(request(three), request(two), request(one)));
      next.commit(List.of(request(two)));
      assertEquals(2, metrics.counter.getCount());
      assertEquals(3L, metrics.gauge.getValue(), "not the version that was committed again");

      // The predecessor still runs, but Kafka has fenced it.
      StagedCheckpoint four = stage(store, 4);
      assertThrows(IOException.class, () -> crashed.commit(List.of(request(four))));
      next.commit(List.of(request(four)));
    } finally {
      crashed.close();
    }
    List<Long> versions = new ArrayList<>();
    try (RecordReader<PolicyCheckpoint> reader =
        RecordReader.fromEarliest(settings, Topic.POLICY_CHECKPOINTS)) {
      reader.readToEnd(entry -> versions.add(entry.record().orElseThrow().getVersion()));
    }
    assertEquals(List.of(1L, 2L, 3L, 4L), versions);
    assertEquals(4, Announcements.latestVersion(settings, Topic.POLICY_CHECKPOINTS, "policy"));
    assertEquals(0, Announcements.latestVersion(settings, Topic.POLICY_CHECKPOINTS, "other"));
  }

  @ParameterizedTest
  @EnumSource(names = {"LOCAL", "OBJECTS"})
  void versionsThatAFlinkCheckpointMayStillCommitAreNotRetired(StoreUnderTest kind)
      throws IOException {
    KafkaSettings settings = TestBroker.freshTopics();
    CheckpointStore store = open(kind);
    Retention newest = new Retention(1, 0, Duration.ZERO, List.of());
    List<CommitRequest<StagedCheckpoint>> covered = new ArrayList<>();
    for (long version = 1; version <= 4; version++) {
      covered.add(request(stage(store, version)));
    }
    try (CheckpointCommitter committer = committer(settings, store, newest)) {
      committer.commit(covered);
      assertEquals(List.of(1L, 2L, 3L, 4L), store.versions("policy"));
    }
    // The job resumes from that Flink checkpoint, then completes the next one.
    try (CheckpointCommitter committer = committer(settings, store, newest)) {
      committer.commit(covered);
      committer.commit(List.of(request(stage(store, 5))));
      assertEquals(List.of(1L, 5L), store.versions("policy"));
      // An old savepoint commits versions that were announced long ago.
      committer.commit(covered);
      assertEquals(List.of(1L, 5L), store.versions("policy"));
    }
    assertEquals(5, Announcements.latestVersion(settings, Topic.POLICY_CHECKPOINTS, "policy"));
  }

  @Test
  void aStagedCheckpointSurvivesFlinkState() throws IOException {
    StagedCheckpoint staged = stage(new CheckpointStore(root.toString()), 12);
    StagedCheckpointSerializer serializer = new StagedCheckpointSerializer();
    byte[] bytes = serializer.serialize(staged);
    assertEquals(staged, serializer.deserialize(serializer.getVersion(), bytes));
    assertThrows(IOException.class, () -> serializer.deserialize(99, bytes));
  }

  @Test
  void anAnnouncementOfOtherFilesIsRefused() throws IOException {
    CheckpointStore store = new CheckpointStore(root.toString());
    StagedFiles files = store.stage("policy", 1, directory -> write(directory, 1));
    PolicyCheckpoint wrong = announcement(files, 2);
    assertThrows(
        IllegalArgumentException.class,
        () -> StagedCheckpoint.of(files, Topic.POLICY_CHECKPOINTS, wrong));
  }

  /** Stages the next version for each prompt. */
  private static final class StageOne
      extends KeyedProcessFunction<Integer, Prompt, StagedCheckpoint> {
    private static final long serialVersionUID = 1L;

    private final CheckpointStore store;
    private transient ValueState<Long> version;

    StageOne(CheckpointStore store) {
      this.store = store;
    }

    @Override
    public void open(OpenContext context) {
      version = getRuntimeContext().getState(new ValueStateDescriptor<>("version", Long.class));
    }

    @Override
    public void processElement(Prompt prompt, Context context, Collector<StagedCheckpoint> out)
        throws IOException {
      long next = version.value() == null ? 1 : version.value() + 1;
      version.update(next);
      out.collect(stage(store, next));
    }
  }

  private static StagedCheckpoint stage(CheckpointStore store, long version) throws IOException {
    StagedFiles files = store.stage("policy", version, directory -> write(directory, version));
    return StagedCheckpoint.of(files, Topic.POLICY_CHECKPOINTS, announcement(files, version));
  }

  private static void write(Path directory, long version) throws IOException {
    TestCheckpoint.write(directory, "version " + version);
  }

  private static PolicyCheckpoint announcement(StagedFiles files, long version) {
    return PolicyCheckpoint.newBuilder()
        .setModel("policy")
        .setVersion(version)
        .setUri(files.finalUri())
        .setManifestSha256(files.manifestSha256())
        .setIteration(0)
        .setStep(0)
        .build();
  }

  private static CheckpointCommitter committer(KafkaSettings settings, CheckpointStore store)
      throws IOException {
    return committer(settings, store, Retention.all());
  }

  private static CheckpointCommitter committer(
      KafkaSettings settings, CheckpointStore store, Retention retention) throws IOException {
    return new CheckpointCommitter(
        store,
        new Announcer(settings, "test.checkpoints"),
        new Retirement(store, retention, Clock.systemUTC()),
        new UnregisteredMetricsGroup());
  }

  /** The one counter and the one gauge of the committer. */
  private static final class RecordedMetrics extends UnregisteredMetricsGroup {
    private final SimpleCounter counter = new SimpleCounter();
    private Gauge<?> gauge;

    @Override
    public Counter counter(String name) {
      assertEquals("checkpoints_announced", name);
      return counter;
    }

    @Override
    public MetricGroup addGroup(String key, String value) {
      assertEquals("model", key);
      return this;
    }

    @Override
    public <T, G extends Gauge<T>> G gauge(String name, G registered) {
      assertEquals("announced_version", name);
      gauge = registered;
      return registered;
    }
  }

  private static CommitRequest<StagedCheckpoint> request(StagedCheckpoint staged) {
    return new FakeRequest(staged);
  }

  private record FakeRequest(StagedCheckpoint getCommittable)
      implements CommitRequest<StagedCheckpoint> {
    @Override
    public int getNumberOfRetries() {
      return 0;
    }

    @Override
    public void signalFailedWithKnownReason(Throwable reason) {
      throw new AssertionError(reason);
    }

    @Override
    public void signalFailedWithUnknownReason(Throwable reason) {
      throw new AssertionError(reason);
    }

    @Override
    public void retryLater() {
      throw new AssertionError("retryLater");
    }

    @Override
    public void updateAndRetryLater(StagedCheckpoint staged) {
      throw new AssertionError("updateAndRetryLater");
    }

    @Override
    public void signalAlreadyCommitted() {
      throw new AssertionError("signalAlreadyCommitted");
    }
  }

  private static void send(KafkaSettings settings, int count) throws IOException {
    try (RecordWriter writer = new RecordWriter(settings)) {
      for (int i = 0; i < count; i++) {
        writer.send(Topic.PROMPTS, TestRecords.prompt("p" + i));
      }
    }
  }

  /** Collects announced versions. The files of each must be complete. */
  private static void await(RecordReader<PolicyCheckpoint> reader, List<Long> versions, int count)
      throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (versions.size() < count) {
      var entry = reader.next(Duration.ofSeconds(1));
      if (entry.isPresent()) {
        PolicyCheckpoint checkpoint = entry.get().record().orElseThrow();
        assertEquals(
            TestCheckpoint.files("version " + checkpoint.getVersion()),
            StoreUnderTest.files(checkpoint.getUri()));
        versions.add(checkpoint.getVersion());
      }
      assertTrue(
          System.nanoTime() < deadline,
          () -> "announced only " + versions + " of " + count + " versions");
    }
  }
}
