package io.millrace.connectors.flink;

import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.UnusableRecordException;
import java.nio.ByteBuffer;
import java.time.Clock;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.util.OutputTag;

/** Dead letters: what a job refuses, with its raw bytes, its origin and the reason. */
public final class DeadLetters {
  /** The side output that carries them. */
  public static final OutputTag<DeadLetter> TAG =
      new OutputTag<>("dead-letters", new AvroTypeInfo<>(DeadLetter.class));

  private DeadLetters() {}

  /** The letter for a record that was refused because of {@code problem}. */
  public static DeadLetter of(
      Received received, String job, UnusableRecordException problem, Clock clock) {
    // What matters to the reader is the first cause; our own exceptions say nothing beyond the
    // reason.
    String exception = problem.getCause() == null ? null : problem.getCause().getClass().getName();
    return new DeadLetter(
        received.topic(),
        received.partition(),
        received.offset(),
        wrap(received.key()),
        wrap(received.value()),
        job,
        problem.reason(),
        problem.getMessage(),
        exception,
        clock.instant());
  }

  private static ByteBuffer wrap(byte[] bytes) {
    return bytes == null ? null : ByteBuffer.wrap(bytes);
  }
}
