package io.millrace.connectors.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.flink.source.Sources.Bound;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When the enumerator signals to a reader that there are no more splits. */
class BoundedKafkaSourceTest {

  private BoundedKafkaSource<Received> source;

  @BeforeEach
  @SuppressWarnings("unchecked") // The factory's return type hides the source's state types.
  void makeSource() throws IOException {
    KafkaSettings settings = TestBroker.freshTopics();
    source =
        (BoundedKafkaSource<Received>)
            Sources.received(settings, Topic.PROMPTS, "group", Start.EARLIEST, Bound.CURRENT_END);
  }

  @Test
  void aNewEnumeratorSignalsItsReaders() throws Exception {
    Coordinator fresh = new Coordinator();
    try (var enumerator = source.createEnumerator(fresh)) {
      enumerator.start();
      fresh.register(enumerator, 0);
    }
    assertEquals(List.of("split for 0", "no more for 0"), fresh.events);
  }

  @Test
  void aRestoredEnumeratorSignalsReadersThatRegisterAfterTheDiscovery() throws Exception {
    Coordinator restored = new Coordinator();
    try (var enumerator = source.restoreEnumerator(restored, assignedState())) {
      enumerator.start();
      restored.discover();
      assertEquals(List.of(), restored.events);
      restored.register(enumerator, 0);
    }
    assertEquals(List.of("no more for 0"), restored.events);
  }

  @Test
  void aRestoredEnumeratorSignalsReadersThatRegisteredBeforeTheDiscovery() throws Exception {
    Coordinator restored = new Coordinator();
    try (var enumerator = source.restoreEnumerator(restored, assignedState())) {
      enumerator.start();
      restored.register(enumerator, 0);
      assertEquals(List.of(), restored.events, "the discovery may still find a partition");
      restored.discover();
    }
    assertEquals(List.of("no more for 0"), restored.events);
  }

  @Test
  void aReaderThatFailsLaterIsSignalledAgain() throws Exception {
    Coordinator restored = new Coordinator();
    KafkaSourceEnumState state = assignedState();
    try (var enumerator = source.restoreEnumerator(restored, state)) {
      enumerator.start();
      restored.discover();
      restored.register(enumerator, 0);
      restored.readers.remove(0);
      enumerator.addSplitsBack(List.copyOf(state.assignedSplits()), 0);
      restored.register(enumerator, 0);
    }
    assertEquals(List.of("no more for 0", "split for 0", "no more for 0"), restored.events);
  }

  /** The state of an enumerator that had assigned its only split. */
  private KafkaSourceEnumState assignedState() throws Exception {
    Coordinator before = new Coordinator();
    try (var enumerator = source.createEnumerator(before)) {
      enumerator.start();
      before.register(enumerator, 0);
      return enumerator.snapshotState(1);
    }
  }

  /** A coordinator of one reader. It keeps asynchronous calls until {@link #discover}. */
  private static final class Coordinator implements SplitEnumeratorContext<KafkaPartitionSplit> {

    private final List<String> events = new ArrayList<>();
    private final Map<Integer, ReaderInfo> readers = new HashMap<>();
    private final List<Runnable> calls = new ArrayList<>();

    void register(
        SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator, int subtask) {
      readers.put(subtask, new ReaderInfo(subtask, "here"));
      enumerator.addReader(subtask);
      if (!(enumerator instanceof RestoredEnumerator)) {
        discover();
      }
    }

    /** Runs the pending asynchronous calls, and the calls that these make. */
    void discover() {
      while (!calls.isEmpty()) {
        calls.remove(0).run();
      }
    }

    @Override
    public <T> void callAsync(Callable<T> callable, BiConsumer<T, Throwable> handler) {
      calls.add(
          () -> {
            T result = null;
            Throwable failure = null;
            try {
              result = callable.call();
            } catch (Exception e) {
              failure = e;
            }
            handler.accept(result, failure);
          });
    }

    @Override
    public <T> void callAsync(
        Callable<T> callable, BiConsumer<T, Throwable> handler, long initialDelay, long period) {
      throw new AssertionError("a bounded source discovers partitions only once");
    }

    @Override
    public void assignSplits(SplitsAssignment<KafkaPartitionSplit> assignment) {
      assignment.assignment().keySet().forEach(subtask -> events.add("split for " + subtask));
    }

    @Override
    public void signalNoMoreSplits(int subtask) {
      events.add("no more for " + subtask);
    }

    @Override
    public Map<Integer, ReaderInfo> registeredReaders() {
      return readers;
    }

    @Override
    public int currentParallelism() {
      return 1;
    }

    @Override
    public SplitEnumeratorMetricGroup metricGroup() {
      return UnregisteredMetricsGroup.createSplitEnumeratorMetricGroup();
    }

    @Override
    public void sendEventToSourceReader(int subtask, SourceEvent event) {
      throw new AssertionError("unexpected event " + event);
    }

    @Override
    public void runInCoordinatorThread(Runnable runnable) {
      runnable.run();
    }
  }
}
