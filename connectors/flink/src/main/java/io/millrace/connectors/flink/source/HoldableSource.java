package io.millrace.connectors.flink.source;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.runtime.jobgraph.tasks.TaskOperatorEventGateway;
import org.apache.flink.runtime.operators.coordination.OperatorEvent;
import org.apache.flink.runtime.source.event.SourceEventWrapper;
import org.apache.flink.shaded.guava33.com.google.common.hash.Hashing;
import org.apache.flink.util.SerializedValue;

/**
 * A source that an operator of the same job can hold: its records then wait in Kafka. An operator
 * with two inputs cannot stop one of them without the other. An operator that waits for records of
 * its second input therefore holds the source of its first one.
 *
 * <p>A held source still takes part in Flink checkpoints and savepoints. Records that the source
 * emitted earlier still arrive: as many as Flink's network buffers hold. The state has the format
 * of the wrapped source.
 */
public final class HoldableSource<T, S extends SourceSplit, C>
    implements Source<T, S, C>, ResultTypeQueryable<T> {

  private static final long serialVersionUID = 1;

  private final Source<T, S, C> source;
  private final TypeInformation<T> type;

  private HoldableSource(Source<T, S, C> source, TypeInformation<T> type) {
    this.source = source;
    this.type = type;
  }

  /**
   * Wraps a source.
   *
   * @param type of the source's records
   */
  public static <T, S extends SourceSplit, C> HoldableSource<T, S, C> of(
      Source<T, S, C> source, TypeInformation<T> type) {
    return new HoldableSource<>(source, type);
  }

  /**
   * Asks a source to stop or to resume reading. The source is held while at least one subtask asks
   * for it.
   *
   * @param gateway of the task that asks
   * @param sourceUid uid of the source in its job
   */
  public static void hold(TaskOperatorEventGateway gateway, String sourceUid, boolean held) {
    OperatorEvent event = new SourceEventWrapper(new HoldEvent(held));
    try {
      gateway.sendOperatorEventToCoordinator(operatorId(sourceUid), new SerializedValue<>(event));
    } catch (IOException e) {
      throw new IllegalStateException("a hold event cannot be serialized", e);
    }
  }

  /** Flink's id of an operator with a uid; as StreamGraphHasherV2 computes it. */
  private static OperatorID operatorId(String uid) {
    return new OperatorID(
        Hashing.murmur3_128(0).newHasher().putString(uid, StandardCharsets.UTF_8).hash().asBytes());
  }

  @Override
  public Boundedness getBoundedness() {
    return source.getBoundedness();
  }

  @Override
  public SplitEnumerator<S, C> createEnumerator(SplitEnumeratorContext<S> context)
      throws Exception {
    return new HoldableEnumerator<>(source.createEnumerator(context), context);
  }

  @Override
  public SplitEnumerator<S, C> restoreEnumerator(SplitEnumeratorContext<S> context, C state)
      throws Exception {
    return new HoldableEnumerator<>(source.restoreEnumerator(context, state), context);
  }

  @Override
  public SourceReader<T, S> createReader(SourceReaderContext context) throws Exception {
    return new HoldableReader<>(source.createReader(context));
  }

  @Override
  public SimpleVersionedSerializer<S> getSplitSerializer() {
    return source.getSplitSerializer();
  }

  @Override
  public SimpleVersionedSerializer<C> getEnumeratorCheckpointSerializer() {
    return source.getEnumeratorCheckpointSerializer();
  }

  @Override
  public TypeInformation<T> getProducedType() {
    return type;
  }
}
