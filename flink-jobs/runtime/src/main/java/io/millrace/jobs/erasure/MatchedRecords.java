package io.millrace.jobs.erasure;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.WithdrawnRecords;
import io.millrace.schemas.wire.RecordDecoder;
import io.millrace.schemas.wire.WireFormatException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The records of Kafka that a withdrawal matches, and what was made from them. Topics must be read
 * in the order of {@link #TOPICS}: what was made from a record lies in a later topic.
 */
final class MatchedRecords {

  /** The topics with records of people, or records made from them. */
  static final List<Topic<?>> TOPICS =
      List.of(
          Topic.PROMPTS,
          Topic.ROLLOUTS,
          Topic.DEMONSTRATIONS,
          Topic.JUDGMENTS,
          Topic.FEEDBACK,
          Topic.REWARDS,
          Topic.DEAD_LETTERS);

  private final KafkaSettings kafka;
  private final Withdrawal withdrawal;
  private final byte[] name;
  private final WithdrawnRecords withdrawn = new WithdrawnRecords();
  private final Map<Topic<?>, RecordDecoder<?>> formats = new HashMap<>();
  private final ErasedTexts texts = new ErasedTexts();

  /** Places of matching records, as dead letters have them for their keys. */
  private final Set<String> places = new HashSet<>();

  private final Set<String> learnable = new TreeSet<>();
  private long undecoded;

  MatchedRecords(KafkaSettings kafka, Withdrawal withdrawal) {
    this.kafka = kafka;
    this.withdrawal = withdrawal;
    this.name = withdrawal.getName().getBytes(StandardCharsets.UTF_8);
    withdrawn.add(withdrawal);
    if (withdrawal.getBy() == WithdrawnBy.ID) {
      learnable.add(withdrawal.getName());
    }
  }

  /** Whether a record is to go. */
  boolean matches(Topic<?> topic, ConsumerRecord<byte[], byte[]> record) {
    boolean matches =
        decode(topic, record.value())
            .map(this::matches)
            .orElseGet(() -> matchesUndecoded(record.key(), record.value()));
    if (matches) {
      places.add(Topic.place(kafka.nameOf(topic), record.partition(), record.offset()));
    }
    return matches;
  }

  private Optional<SpecificRecordBase> decode(Topic<?> topic, byte[] value) {
    try {
      return Optional.of(formats.computeIfAbsent(topic, kafka::decoder).decode(value));
    } catch (WireFormatException e) {
      return Optional.empty();
    }
  }

  private boolean matches(SpecificRecordBase record) {
    if (record instanceof DeadLetter letter) {
      return matchesLetter(letter);
    }
    boolean matches =
        withdrawn.contains(
            record instanceof Reward reward
                ? new Provenance(List.of(reward.getRolloutId(), reward.getPromptId()), "", "", 0, 0)
                : Provenance.of(record));
    if (matches) {
      texts.add(record);
      remember(record);
    }
    return matches;
  }

  /** What was made from a record goes with it, whatever its own source is. */
  private void remember(SpecificRecordBase record) {
    switch (record) {
      case Prompt prompt -> learnable.add(withdraw(prompt.getPromptId()));
      case Rollout rollout -> {
        learnable.add(rollout.getPromptId());
        String _ = withdraw(rollout.getRolloutId());
      }
      case Demonstration demonstration -> learnable.add(demonstration.getId());
      case Judgment judgment -> learnable.add(judgment.getJudgmentId());
      case Feedback feedback -> learnable.add(feedback.getFeedbackId());
      default -> {}
    }
  }

  private String withdraw(String id) {
    boolean _ =
        withdrawn.add(
            Withdrawal.newBuilder(withdrawal)
                .setWithdrawalId(WithdrawnBy.ID + "/" + id)
                .setBy(WithdrawnBy.ID)
                .setName(id)
                .build());
    return id;
  }

  private boolean matchesLetter(DeadLetter letter) {
    byte[] key = bytes(letter.getKey());
    byte[] value = bytes(letter.getValue());
    if (places.contains(Topic.DEAD_LETTERS.keyOf(letter))) {
      return true;
    }
    if (value == null) {
      return matchesUndecoded(key, new byte[0]);
    }
    return Topic.all().stream()
        .filter(topic -> kafka.nameOf(topic).equals(letter.getTopic()))
        .filter(TOPICS::contains)
        .findFirst()
        .flatMap(topic -> decode(topic, value))
        .map(this::matches)
        .orElseGet(() -> matchesUndecoded(key, value));
  }

  /** A value that is no record: its key may be the id, or it may hold the name as text. */
  private boolean matchesUndecoded(byte[] key, byte[] value) {
    boolean matches =
        (withdrawal.getBy() == WithdrawnBy.ID && Arrays.equals(name, key)) || contains(value, name);
    if (matches) {
      undecoded++;
      if (value.length >= ErasedTexts.LEAST_BYTES) {
        texts.add(new String(value, StandardCharsets.UTF_8));
      }
    }
    return matches;
  }

  private static boolean contains(byte[] value, byte[] part) {
    for (int at = 0; at + part.length <= value.length; at++) {
      if (Arrays.equals(value, at, at + part.length, part, 0, part.length)) {
        return true;
      }
    }
    return false;
  }

  private static byte[] bytes(ByteBuffer buffer) {
    if (buffer == null) {
      return null;
    }
    byte[] bytes = new byte[buffer.remaining()];
    ByteBuffer _ = buffer.duplicate().get(bytes);
    return bytes;
  }

  /** A record that stays: its texts are no sign of an erased record. */
  void keep(Topic<?> topic, ConsumerRecord<byte[], byte[]> record) {
    decode(topic, record.value()).ifPresent(texts::keep);
  }

  /** The texts of the matching records. */
  ErasedTexts texts() {
    return texts;
  }

  /** Ids of matching judgments, demonstrations and prompts. */
  Set<String> learnable() {
    return learnable;
  }

  /** Matching records that cannot be decoded: their bytes hold the name. */
  long undecoded() {
    return undecoded;
  }
}
