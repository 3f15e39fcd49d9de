package io.millrace.schemas;

import java.io.ObjectStreamException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * A Kafka topic: its name without prefix, its Avro record type, the key of a record, and whether
 * Kafka keeps only the latest record of a key.
 *
 * @param <T> the record type
 */
public final class Topic<T extends SpecificRecordBase> implements Serializable {
  private static final long serialVersionUID = 1L;

  /** The default prefix of topic names. */
  public static final String DEFAULT_PREFIX = "millrace.";

  public static final Topic<Prompt> PROMPTS =
      new Topic<>("prompts", Prompt.class, Prompt::getPromptId, false);
  public static final Topic<Demonstration> DEMONSTRATIONS =
      new Topic<>("demonstrations", Demonstration.class, Demonstration::getId, false);
  public static final Topic<Judgment> JUDGMENTS =
      new Topic<>("judgments", Judgment.class, Judgment::getJudgmentId, false);
  public static final Topic<Feedback> FEEDBACK =
      new Topic<>("feedback", Feedback.class, Feedback::getFeedbackId, false);
  public static final Topic<Withdrawal> WITHDRAWALS =
      new Topic<>("withdrawals", Withdrawal.class, Withdrawal::getWithdrawalId, true);
  public static final Topic<Assignment> ASSIGNMENTS =
      new Topic<>(
          "assignments",
          Assignment.class,
          assignment -> assignment.getTaskId() + "/" + assignment.getAnnotator(),
          true);
  public static final Topic<Rollout> ROLLOUTS =
      new Topic<>("rollouts", Rollout.class, Rollout::getRolloutId, false);
  public static final Topic<Reward> REWARDS =
      new Topic<>("rewards", Reward.class, Reward::getRolloutId, false);
  public static final Topic<RewardCheckpoint> REWARD_CHECKPOINTS =
      new Topic<>(
          "reward-checkpoints",
          RewardCheckpoint.class,
          checkpoint -> key(checkpoint.getObjective(), checkpoint.getJudge()),
          true);
  public static final Topic<PolicyCheckpoint> POLICY_CHECKPOINTS =
      new Topic<>("policy-checkpoints", PolicyCheckpoint.class, PolicyCheckpoint::getModel, true);
  public static final Topic<Promotion> PROMOTIONS =
      new Topic<>("promotions", Promotion.class, Promotion::getModel, true);
  public static final Topic<Lineage> LINEAGE =
      new Topic<>(
          "lineage",
          Lineage.class,
          lineage -> lineage.getModel() + "/" + lineage.getVersion() + "/" + lineage.getPart(),
          true);
  public static final Topic<TrainingMetrics> TRAINING_METRICS =
      new Topic<>("training-metrics", TrainingMetrics.class, TrainingMetrics::getJob, false);
  public static final Topic<DeadLetter> DEAD_LETTERS =
      new Topic<>(
          "dead-letters",
          DeadLetter.class,
          letter -> place(letter.getTopic(), letter.getPartition(), letter.getOffset()),
          false);

  private static final List<Topic<?>> ALL =
      List.of(
          PROMPTS,
          DEMONSTRATIONS,
          JUDGMENTS,
          FEEDBACK,
          WITHDRAWALS,
          ASSIGNMENTS,
          ROLLOUTS,
          REWARDS,
          REWARD_CHECKPOINTS,
          POLICY_CHECKPOINTS,
          PROMOTIONS,
          LINEAGE,
          TRAINING_METRICS,
          DEAD_LETTERS);

  private final String name;
  private final transient Class<T> type;
  private final transient Function<T, String> key;
  private final transient boolean compacted;

  private Topic(String name, Class<T> type, Function<T, String> key, boolean compacted) {
    this.name = name;
    this.type = type;
    this.key = key;
    this.compacted = compacted;
  }

  /** All topics, in the order in which data flows through them. */
  public static List<Topic<?>> all() {
    return ALL;
  }

  /**
   * Finds a topic by its name, with or without prefix.
   *
   * @throws IllegalArgumentException for an unknown name; the message suggests the nearest known
   *     one
   */
  public static Topic<?> named(String name, String prefix) {
    String bare =
        !prefix.isEmpty() && name.startsWith(prefix) ? name.substring(prefix.length()) : name;
    for (Topic<?> topic : ALL) {
      if (topic.name.equals(bare)) {
        return topic;
      }
    }
    throw new IllegalArgumentException(
        "unknown topic \""
            + name
            + "\""
            + Nearest.hint(bare, ALL.stream().map(Topic::name).toList()));
  }

  /** The name without a prefix, such as {@code prompts}. */
  public String name() {
    return name;
  }

  /** The name in Kafka, with its prefix. */
  public String name(String prefix) {
    return prefix + name;
  }

  public Class<T> type() {
    return type;
  }

  public Schema schema() {
    return SpecificData.get().getSchema(type);
  }

  /** The key of announcements of reward models. */
  public static String key(Objective objective, boolean judge) {
    return objective.name() + (judge ? "/judge" : "");
  }

  /** Whether Kafka keeps only the latest record of each key. */
  public boolean compacted() {
    return compacted;
  }

  /** The place of a record in Kafka, as the key of its dead letter. */
  public static String place(String topic, int partition, long offset) {
    return topic + "/" + partition + "/" + offset;
  }

  /** The key of a record, as text. */
  public String keyOf(T record) {
    return key.apply(record);
  }

  /** The key of a record in Kafka: its text in UTF-8. */
  public byte[] keyBytes(T record) {
    return keyOf(record).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public String toString() {
    return name;
  }

  // Keeps one instance of each topic in a process, also after deserialization of a job graph.
  private Object readResolve() throws ObjectStreamException {
    return named(name, "");
  }
}
