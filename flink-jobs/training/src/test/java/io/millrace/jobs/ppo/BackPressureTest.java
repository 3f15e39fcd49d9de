package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailboxImpl;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Real Flink checkpoints of a job whose trainer has a full inbox, with the network before it full
 * too; the deadline is for a barrier that hangs.
 */
@Timeout(120)
class BackPressureTest {

  /** More records than fit between the source and the trainer. */
  private static final long RECORDS = 100_000;

  private static final int CAPACITY = 4;

  /** When the source has sent this many records, some wait in the network. */
  private static final int MANY = 5_000;

  @TempDir private static Path directory;
  private static MiniCluster cluster;

  private static final Set<Thread.State> WAITING =
      EnumSet.of(Thread.State.WAITING, Thread.State.TIMED_WAITING);
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  // The job runs in the test's JVM: it counts and waits in these fields.
  private static final AtomicInteger SENT = new AtomicInteger();
  private static final AtomicInteger SNAPSHOTS = new AtomicInteger();
  private static final AtomicInteger UPDATES = new AtomicInteger();
  private static final AtomicInteger SAVED = new AtomicInteger();
  private static final AtomicLong DIGEST = new AtomicLong();
  private static final Semaphore MAY_END = new Semaphore(0);
  private static volatile Thread task;

  /** Updates that the test let end. */
  private static int letEnd;

  /** Each record is an update, which ends when the test lets it. The digest shows the order. */
  private static final class HeldOperator extends TrainingOperator<Long, Long> {
    private static final long serialVersionUID = 1;

    private transient long digest;

    @Override
    public void openModels() throws Exception {
      super.openModels();
      task = Thread.currentThread();
    }

    @Override
    protected int capacity() {
      return CAPACITY;
    }

    @Override
    protected long version() {
      return 0;
    }

    @Override
    protected boolean work() throws InterruptedException {
      Long record = poll();
      if (record == null) {
        return false;
      }
      MAY_END.acquire();
      UPDATES.incrementAndGet();
      digest = digest * 31 + record;
      release(1);
      return true;
    }

    @Override
    protected void finishInput() {
      DIGEST.set(digest);
    }

    private record State(List<Long> inbox, long digest) {}

    @Override
    public void writeState(StateWriter out) throws IOException {
      List<Long> waiting = inbox();
      out.write(new State(waiting, digest));
      SAVED.accumulateAndGet(waiting.size(), Math::max);
      SNAPSHOTS.incrementAndGet();
    }

    @Override
    public void readState(StateReader in) throws IOException {
      State state = in.read(State.class);
      digest = state.digest();
      restoreInbox(state.inbox(), 0);
    }

    @Override
    public void closeModels() {}
  }

  @BeforeAll
  static void start() throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(RestOptions.BIND_PORT, "0");
    configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(16));
    cluster =
        new MiniCluster(
            new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(2)
                .build());
    cluster.start();
  }

  @AfterAll
  static void stop() throws Exception {
    cluster.close();
  }

  @BeforeEach
  void reset() {
    for (AtomicInteger count : new AtomicInteger[] {SENT, SNAPSHOTS, UPDATES}) {
      count.set(0);
    }
    MAY_END.drainPermits();
    letEnd = 0;
  }

  private static StreamGraph graph(long records) {
    Configuration configuration = new Configuration();
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofHours(1));
    configuration.set(CheckpointingOptions.ENABLE_UNALIGNED, true);
    configuration.set(CheckpointingOptions.ALIGNED_CHECKPOINT_TIMEOUT, Duration.ZERO);
    configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    configuration.set(
        CheckpointingOptions.CHECKPOINTS_DIRECTORY, directory.resolve("flink").toUri().toString());
    configuration.set(
        CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
        ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    env.setParallelism(1);
    env.fromSequence(1, records)
        .map(
            record -> {
              SENT.incrementAndGet();
              return record;
            })
        .returns(Types.LONG)
        .uid("count")
        .global()
        .transform("held", Types.LONG, new HeldOperator())
        .uid("held")
        .sinkTo(new DiscardingSink<>())
        .uid("sink");
    return env.getStreamGraph();
  }

  /** Waits for a condition. Meanwhile lets an update end whenever a barrier waits for it. */
  private static void until(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) {
      if (UPDATES.get() == letEnd
          && taskWaitsIn(BackgroundOperator.class, "prepareSnapshotPreBarrier")
          && MAY_END.hasQueuedThreads()) {
        letEnd++;
        MAY_END.release();
      }
      Thread.sleep(1);
    }
  }

  /** Whether the task's thread waits within a method. */
  private static boolean taskWaitsIn(Class<?> type, String method) {
    if (task == null) {
      return false;
    }
    ThreadInfo thread = THREADS.getThreadInfo(task.threadId(), Integer.MAX_VALUE);
    return thread != null
        && WAITING.contains(thread.getThreadState())
        && Stream.of(thread.getStackTrace())
            .anyMatch(
                frame ->
                    frame.getClassName().equals(type.getName())
                        && frame.getMethodName().equals(method));
  }

  /** An update runs, the inbox is full, and so is the network before it: the task has no work. */
  private static boolean everythingIsFull() {
    return SENT.get() > MANY
        && taskWaitsIn(TaskMailboxImpl.class, "take")
        && MAY_END.hasQueuedThreads();
  }

  @Test
  void aFlinkCheckpointWaitsForTheUpdateThatRunsAndForNoRecord() throws Exception {
    JobID job = cluster.submitJob(graph(RECORDS).getJobGraph()).get().getJobID();
    String path = null;
    for (int taken = 0; taken < 3; taken++) {
      until(BackPressureTest::everythingIsFull);
      // Flink takes Flink checkpoints of its own at the beginning.
      int updates = UPDATES.get();
      int snapshots = SNAPSHOTS.get();
      var checkpoint = cluster.triggerCheckpoint(job);
      until(checkpoint::isDone);
      path = checkpoint.get();
      assertEquals(SNAPSHOTS.get() - snapshots, UPDATES.get() - updates, "updates waited for");
    }
    assertTrue(SAVED.get() < 2 * CAPACITY, SAVED + " records in the inbox of a state");
    cluster.cancelJob(job).get();
    cluster.requestJobResult(job).get();

    reset();
    MAY_END.release(Integer.MAX_VALUE);
    StreamGraph resumed = graph(RECORDS);
    resumed.setSavepointRestoreSettings(SavepointRestoreSettings.forPath(path));
    JobID second = cluster.submitJob(resumed.getJobGraph()).get().getJobID();
    assertTrue(cluster.requestJobResult(second).get().isSuccess());
    long expected = 0;
    for (long record = 1; record <= RECORDS; record++) {
      expected = expected * 31 + record;
    }
    assertEquals(expected, DIGEST.get(), "every record once, in order");
  }
}
