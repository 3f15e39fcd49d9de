package io.millrace.connectors.flink.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.LostTransactions;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.connector.kafka.sink.internal.FlinkKafkaInternalProducer;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class WatchedCommitterTest {
  private static final byte[] GARBAGE = {1};

  private final SimpleCounter lost = new SimpleCounter();
  private final List<String> signals = new ArrayList<>();
  private KafkaSettings kafka;

  @BeforeEach
  void topics() throws IOException {
    kafka = TestBroker.freshTopics();
  }

  @Test
  void aTransactionThatWasCommittedBeforeARestoreIsNotLost() throws Exception {
    KafkaCommittable committed;
    try (FlinkKafkaInternalProducer<byte[], byte[]> producer = producer()) {
      committed = KafkaCommittable.of(producer);
      producer.commitTransaction();
    }
    commit(LostTransactions.STOP, true, committed);
    assertEquals(0, lost.getCount());
    assertEquals(List.of("already committed"), signals);
  }

  @Test
  void outsideOfARestoreEveryRefusedTransactionIsLost() throws Exception {
    KafkaCommittable committed;
    try (FlinkKafkaInternalProducer<byte[], byte[]> producer = producer()) {
      committed = KafkaCommittable.of(producer);
      producer.commitTransaction();
    }
    SuppressRestartsException e =
        assertThrows(
            SuppressRestartsException.class, () -> commit(LostTransactions.STOP, false, committed));
    assertEquals(1, lost.getCount());
    assertTrue(
        e.getCause().getMessage().startsWith("1 transactions with records of the-topic are lost: "),
        e.getCause().getMessage());
  }

  @Test
  void anAcceptedLossIsCounted() throws Exception {
    commit(
        LostTransactions.ACCEPT,
        true,
        new KafkaCommittable(4711, (short) 0, kafka.topicPrefix() + "unknown", null));
    assertEquals(1, lost.getCount());
    assertEquals(List.of("known reason"), signals);
  }

  private FlinkKafkaInternalProducer<byte[], byte[]> producer() {
    var properties =
        kafka.producerProperties(
            Map.of(
                "key.serializer",
                "org.apache.kafka.common.serialization.ByteArraySerializer",
                "value.serializer",
                "org.apache.kafka.common.serialization.ByteArraySerializer"));
    FlinkKafkaInternalProducer<byte[], byte[]> producer =
        new FlinkKafkaInternalProducer<>(properties, kafka.topicPrefix() + "id");
    producer.initTransactions();
    producer.beginTransaction();
    var _ = producer.send(new ProducerRecord<>(kafka.nameOf(Topic.PROMPTS), GARBAGE));
    producer.flush();
    producer.precommitTransaction();
    return producer;
  }

  private void commit(LostTransactions policy, boolean restored, KafkaCommittable transaction)
      throws Exception {
    KafkaSettings settings =
        new KafkaSettings(
            kafka.bootstrapServers(),
            kafka.topicPrefix(),
            Map.of(),
            kafka.maxRecordBytes(),
            policy);
    try (WatchedCommitter committer =
        new WatchedCommitter(new Refusing(), settings, "the-topic", restored, lost)) {
      committer.commit(List.of(new Request(transaction, signals)));
    }
  }

  /** What Flink's committer does when Kafka has fenced the producer. */
  private static final class Refusing implements Committer<KafkaCommittable> {
    @Override
    public void commit(Collection<CommitRequest<KafkaCommittable>> requests) {
      requests.forEach(
          request -> request.signalFailedWithKnownReason(new ProducerFencedException("fenced")));
    }

    @Override
    public void close() {}
  }

  private record Request(KafkaCommittable getCommittable, List<String> signals)
      implements Committer.CommitRequest<KafkaCommittable> {
    @Override
    public int getNumberOfRetries() {
      return 0;
    }

    @Override
    public void signalFailedWithKnownReason(Throwable problem) {
      signals.add("known reason");
    }

    @Override
    public void signalFailedWithUnknownReason(Throwable problem) {
      signals.add("unknown reason");
    }

    @Override
    public void retryLater() {
      signals.add("retry");
    }

    @Override
    public void updateAndRetryLater(KafkaCommittable committable) {
      signals.add("retry");
    }

    @Override
    public void signalAlreadyCommitted() {
      signals.add("already committed");
    }
  }
}
