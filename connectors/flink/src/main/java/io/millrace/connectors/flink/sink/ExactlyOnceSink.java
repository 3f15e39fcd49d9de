package io.millrace.connectors.flink.sink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.Collection;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaWriterState;
import org.apache.flink.connector.kafka.sink.TwoPhaseCommittingStatefulSink;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.SupportsPostCommitTopology;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Flink's Kafka sink, whose lost transactions do not pass in silence. Flink's own committer logs a
 * transaction that the broker has aborted, and the job goes on without its records. The state has
 * the format of Flink's sink.
 */
final class ExactlyOnceSink<T>
    implements TwoPhaseCommittingStatefulSink<T, KafkaWriterState, KafkaCommittable>,
        SupportsPostCommitTopology<KafkaCommittable> {
  private static final long serialVersionUID = 1L;

  private final TwoPhaseCommittingStatefulSink<T, KafkaWriterState, KafkaCommittable> sink;
  private final SupportsPostCommitTopology<KafkaCommittable> topology;
  private final KafkaSettings settings;
  private final Topic<?> topic;

  ExactlyOnceSink(KafkaSink<T> sink, KafkaSettings settings, Topic<?> topic) {
    this.sink = sink;
    this.topology = sink;
    this.settings = settings;
    this.topic = topic;
  }

  @Override
  public PrecommittingStatefulSinkWriter<T, KafkaWriterState, KafkaCommittable> createWriter(
      WriterInitContext context) throws IOException {
    return sink.createWriter(context);
  }

  @Override
  public PrecommittingStatefulSinkWriter<T, KafkaWriterState, KafkaCommittable> restoreWriter(
      WriterInitContext context, Collection<KafkaWriterState> state) throws IOException {
    return sink.restoreWriter(context, state);
  }

  @Override
  public SimpleVersionedSerializer<KafkaWriterState> getWriterStateSerializer() {
    return sink.getWriterStateSerializer();
  }

  @Override
  public Committer<KafkaCommittable> createCommitter(CommitterInitContext context)
      throws IOException {
    return new WatchedCommitter(
        sink.createCommitter(context),
        settings,
        settings.nameOf(topic),
        context.getRestoredCheckpointId().isPresent(),
        context
            .metricGroup()
            .addGroup("topic", topic.name())
            .counter(
                "transactions_lost",
                CountLost.counter(context.getJobInfo(), context.getTaskInfo(), topic)));
  }

  @Override
  public SimpleVersionedSerializer<KafkaCommittable> getCommittableSerializer() {
    return sink.getCommittableSerializer();
  }

  @Override
  public void addPostCommitTopology(DataStream<CommittableMessage<KafkaCommittable>> committables) {
    topology.addPostCommitTopology(committables);
    committables
        .process(new CountLost(topic))
        .returns(Types.VOID)
        .name("count lost transactions")
        .uid("count-lost");
  }
}
