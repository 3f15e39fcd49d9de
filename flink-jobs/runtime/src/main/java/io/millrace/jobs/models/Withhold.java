package io.millrace.jobs.models;

import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.io.Serializable;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Keeps {@linkplain HeldOut held-out} records from a job that learns. The metric {@code
 * records_held_out} counts them since the task began, and the accumulator {@code
 * topics/TOPIC/dropped/held-out} since the job began.
 *
 * @param <T> the record type
 */
public final class Withhold<T extends SpecificRecordBase> extends DroppingFilter<T> {

  private static final long serialVersionUID = 1;

  /** The dialogue of a record. */
  public interface DialogueOf<T> extends Serializable {
    List<Turn> of(T dialogue);
  }

  private final HeldOut heldOut;
  private final DialogueOf<T> dialogue;

  private Withhold(Topic<T> topic, HeldOut heldOut, DialogueOf<T> dialogue) {
    super(topic, "held-out", "records_held_out");
    this.heldOut = heldOut;
    this.dialogue = dialogue;
  }

  /** The records that are not held out. */
  public static <T extends SpecificRecordBase> DataStream<T> from(
      DataStream<T> records, Topic<T> topic, double share, DialogueOf<T> dialogue) {
    return records
        .filter(new Withhold<>(topic, new HeldOut(share), dialogue))
        .name("held-out " + topic.name())
        .uid("held-out-" + topic.name())
        .setParallelism(records.getParallelism());
  }

  @Override
  protected boolean keeps(T record) {
    return !heldOut.contains(dialogue.of(record));
  }
}
