package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.UnusableRecordException;
import java.nio.ByteBuffer;
import java.time.Clock;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.util.OutputTag;

/** Dead letters: refused records, each with its raw bytes, its origin and the reason. */
public final class DeadLetters {
  /** The side output that carries them. */
  public static final OutputTag<DeadLetter> TAG =
      new OutputTag<>("dead-letters", new AvroTypeInfo<>(DeadLetter.class));

  private DeadLetters() {}

  /** The dead letter for a record that {@code job} refused because of {@code problem}. */
  public static DeadLetter of(
      Received received, String job, UnusableRecordException problem, Clock clock) {
    // The class of the problem itself adds nothing to the reason, so only its cause is named.
    String exception = problem.getCause() == null ? null : problem.getCause().getClass().getName();
    return DeadLetter.newBuilder()
        .setTopic(received.topic())
        .setPartition(received.partition())
        .setOffset(received.offset())
        .setKey(wrap(received.key()))
        .setValue(wrap(received.value()))
        .setJob(job)
        .setReason(problem.reason())
        .setMessage(problem.getMessage())
        .setException(exception)
        .setTime(clock.instant())
        .build();
  }

  private static ByteBuffer wrap(byte[] bytes) {
    return bytes == null ? null : ByteBuffer.wrap(bytes);
  }
}
