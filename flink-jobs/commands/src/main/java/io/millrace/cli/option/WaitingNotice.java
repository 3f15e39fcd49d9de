package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.WaitingRecords;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Prints why a bounded job waits: its end is fixed when it starts, and some records before it lie
 * behind an open transaction.
 */
public final class WaitingNotice {

  private static final Logger LOG = LoggerFactory.getLogger(WaitingNotice.class);

  private static final Duration EVERY = Duration.ofSeconds(10);

  /** Flink's prefix of the names of sources, which Millrace names by their topics. */
  private static final String SOURCE = "Source: ";

  private final KafkaSettings settings;
  private final Set<String> topics;
  private final Consumer<String> printer;
  private long checked = System.nanoTime();

  /**
   * @param graph the job; its sources have the names of topics
   * @param printer takes one line for each partition with waiting records
   */
  public WaitingNotice(KafkaSettings settings, StreamGraph graph, Consumer<String> printer) {
    this.settings = settings;
    this.topics =
        graph.getSourceIDs().stream()
            .map(id -> graph.getStreamNode(id).getOperatorName().replaceFirst("^" + SOURCE, ""))
            .collect(Collectors.toSet());
    this.printer = printer;
  }

  /** Looks for waiting records, but not more often than every ten seconds. */
  public void check() {
    if (System.nanoTime() - checked < EVERY.toNanos()) {
      return;
    }
    checked = System.nanoTime();
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      for (TopicAdmin.State topic : admin.describe()) {
        if (topics.contains(topic.topic().name())) {
          for (WaitingRecords waiting : WaitingRecords.in(settings, topic.topicPartitions())) {
            printer.accept("the job waits: " + waiting.text(Instant.now()));
          }
        }
      }
    } catch (IOException e) {
      LOG.warn("cannot look for records behind open transactions", e);
    }
  }
}
