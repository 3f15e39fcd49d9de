package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.util.OutputTag;

/**
 * Tombstones of Kafka, which are records without a value, in the topics of people's records. Each
 * withdraws the record whose id is its key.
 */
final class Tombstones {
  /** The side output that carries the withdrawals. */
  static final OutputTag<Withdrawal> TAG =
      new OutputTag<>("withdrawals", new AvroTypeInfo<>(Withdrawal.class));

  private static final Set<Topic<?>> TOPICS =
      Set.of(Topic.JUDGMENTS, Topic.FEEDBACK, Topic.DEMONSTRATIONS, Topic.PROMPTS);

  private Tombstones() {}

  /** Whether tombstones of a topic are withdrawals. */
  static boolean withdrawIn(Topic<?> topic) {
    return TOPICS.contains(topic);
  }

  /**
   * The withdrawal that a record is; every job makes the same one of it. Empty for a record that is
   * no tombstone, or whose key is no id.
   */
  static Optional<Withdrawal> withdrawal(Topic<?> topic, Received received) {
    if (!withdrawIn(topic) || received.value() != null || received.key() == null) {
      return Optional.empty();
    }
    String id;
    try {
      id = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(received.key())).toString();
    } catch (CharacterCodingException e) {
      return Optional.empty();
    }
    String withdrawalId = "tombstone/%s/%s".formatted(topic.name(), id);
    if (withdrawalId.length() > Validation.MAX_ID_CHARACTERS) {
      withdrawalId = "tombstone/%s/%s".formatted(topic.name(), Sha256.of(received.key()));
    }
    Withdrawal withdrawal =
        Withdrawal.newBuilder()
            .setWithdrawalId(withdrawalId)
            .setBy(WithdrawnBy.ID)
            .setName(id)
            .setReason("a tombstone in the topic " + topic.name())
            .setTime(Instant.ofEpochMilli(Math.max(0, received.timestamp())))
            .build();
    return Validation.problems(withdrawal).isEmpty() ? Optional.of(withdrawal) : Optional.empty();
  }
}
