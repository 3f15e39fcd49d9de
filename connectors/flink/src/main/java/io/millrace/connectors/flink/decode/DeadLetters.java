package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.wire.WireFormat;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.time.Clock;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.util.OutputTag;

/**
 * Makes dead letters: refused records, each with its raw bytes, its origin and the reason. A dead
 * letter always fits into {@link KafkaSettings#maxRecordBytes}. When key and value do not, it holds
 * their beginnings; it always holds their full sizes and digests.
 *
 * @param job the job that refuses the records
 * @param kafka the cluster that gets the dead letters
 * @param clock gives the time of dead letters; it is sent with the job, so it must be serializable
 */
public record DeadLetters(String job, KafkaSettings kafka, Clock clock) implements Serializable {
  /** The side output that carries them. */
  public static final OutputTag<DeadLetter> TAG =
      new OutputTag<>("dead-letters", new AvroTypeInfo<>(DeadLetter.class));

  /** The partition and offset of a record that is in no topic. */
  private static final int NOWHERE = -1;

  private static final int MAX_MESSAGE_CHARACTERS = 4096;

  /** Bytes of a dead letter beside key and value: a path, a message, an exception's name. */
  private static final int ROOM_BYTES = 32 << 10;

  private static final int CUT_KEY_BYTES = 1 << 10;
  private static final int CUT_VALUE_BYTES = 16 << 10;

  /** The dead letter for a record that the job refused because of {@code problem}. */
  public DeadLetter of(Received received, UnusableRecordException problem) {
    // The class of the problem itself adds nothing to the reason, so only its cause is named.
    String exception = problem.getCause() == null ? null : problem.getCause().getClass().getName();
    return builder(received.key(), received.value(), problem.reason(), problem.getMessage())
        .setTopic(received.topic())
        .setPartition(received.partition())
        .setOffset(received.offset())
        .setException(exception)
        .build();
  }

  /** The dead letter for a record of the job's own that is too large for its topic. */
  public DeadLetter tooLarge(Topic<?> topic, byte[] key, byte[] value) {
    return builder(key, value, RecordWriter.TOO_LARGE, kafka.tooLarge(topic, key, value))
        .setTopic(kafka.nameOf(topic))
        .setPartition(NOWHERE)
        .setOffset(NOWHERE)
        .build();
  }

  private DeadLetter.Builder builder(byte[] key, byte[] value, String reason, String message) {
    long room = (long) kafka.maxPayloadBytes() - ROOM_BYTES;
    if (kafka.wire().formatOf(Topic.DEAD_LETTERS) == WireFormat.JSON) {
      room = room / 4 * 3; // Base64
    }
    boolean whole = size(key) + size(value) <= room;
    return DeadLetter.newBuilder()
        .setKey(bytes(key, whole ? Integer.MAX_VALUE : CUT_KEY_BYTES))
        .setKeySize(key == null ? null : (long) key.length)
        .setKeySha256(sha256(key))
        .setValue(bytes(value, whole ? Integer.MAX_VALUE : CUT_VALUE_BYTES))
        .setValueSize(value == null ? null : (long) value.length)
        .setValueSha256(sha256(value))
        .setJob(job)
        .setReason(reason)
        .setMessage(abbreviate(message))
        .setTime(clock.instant());
  }

  /** Messages may quote what the record says. */
  private static String abbreviate(String message) {
    if (message.length() <= MAX_MESSAGE_CHARACTERS) {
      return message;
    }
    int end = MAX_MESSAGE_CHARACTERS - 1;
    return message.substring(0, Character.isHighSurrogate(message.charAt(end - 1)) ? end - 1 : end)
        + "…";
  }

  private static long size(byte[] bytes) {
    return bytes == null ? 0 : bytes.length;
  }

  private static ByteBuffer bytes(byte[] bytes, int most) {
    return bytes == null ? null : ByteBuffer.wrap(bytes, 0, Math.min(bytes.length, most)).slice();
  }

  private static String sha256(byte[] bytes) {
    return bytes == null ? null : Sha256.of(bytes);
  }
}
