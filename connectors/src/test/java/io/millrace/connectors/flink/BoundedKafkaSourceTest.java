package io.millrace.connectors.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.flink.Sources.Bound;
import io.millrace.connectors.flink.Sources.Start;
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

/** Who is told that there are no more splits, and when. */
class BoundedKafkaSourceTest {

  private BoundedKafkaSource<Received> source;

  @BeforeEach
  @SuppressWarnings("unchecked") // The source's own types of state are nobody's business else.
  void makeSource() throws IOException {
    KafkaSettings settings = TestBroker.freshTopics();
    source =
        (BoundedKafkaSource<Received>)
            Sources.received(settings, Topic.PROMPTS, "group", Start.EARLIEST, Bound.CURRENT_END);
  }

  @Test
  void aFreshOneTellsItsReaders() throws Exception {
    Coordinator fresh = new Coordinator();
    try (var enumerator = source.createEnumerator(fresh)) {
      enumerator.start();
      fresh.register(enumerator, 0);
    }
    assertEquals(List.of("split for 0", "no more for 0"), fresh.events);
  }

  @Test
  void aRestoredOneTellsReadersThatComeAfterItHasLooked() throws Exception {
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
  void aRestoredOneTellsReadersThatWereThereBeforeItHasLooked() throws Exception {
    Coordinator restored = new Coordinator();
    try (var enumerator = source.restoreEnumerator(restored, assignedState())) {
      enumerator.start();
      restored.register(enumerator, 0);
      assertEquals(List.of(), restored.events, "what has not been looked for may be there");
      restored.discover();
    }
    assertEquals(List.of("no more for 0"), restored.events);
  }

  @Test
  void aReaderThatFailsLaterIsToldAgain() throws Exception {
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

  /** Of a run that had given its only split away and then died with its coordinator. */
  private KafkaSourceEnumState assignedState() throws Exception {
    Coordinator before = new Coordinator();
    try (var enumerator = source.createEnumerator(before)) {
      enumerator.start();
      before.register(enumerator, 0);
      return enumerator.snapshotState(1);
    }
  }

  /** Flink's coordinator of one reader, whose asynchronous calls wait to be run. */
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

    /** Runs what waits, and what that asks for. */
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
      throw new AssertionError("a bounded source looks for partitions once");
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
      throw new AssertionError("no event is expected: " + event);
    }

    @Override
    public void runInCoordinatorThread(Runnable runnable) {
      runnable.run();
    }
  }
}
