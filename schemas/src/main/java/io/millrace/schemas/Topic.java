package io.millrace.schemas;

import java.util.Arrays;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.avro.specific.SpecificRecordBase;

/** The topics, each with its one record type and key. */
public enum Topic {
  PROMPTS("prompts", Prompt.class, false, Prompt::getPromptId),
  DEMONSTRATIONS("demonstrations", Demonstration.class, false, Demonstration::getId),
  JUDGMENTS("judgments", Judgment.class, false, Judgment::getJudgmentId),
  ROLLOUTS("rollouts", Rollout.class, false, Rollout::getRolloutId),
  REWARDS("rewards", Reward.class, false, Reward::getRolloutId),
  REWARD_CHECKPOINTS(
      "reward-checkpoints", RewardCheckpoint.class, true, r -> r.getObjective().name()),
  POLICY_CHECKPOINTS(
      "policy-checkpoints", PolicyCheckpoint.class, true, PolicyCheckpoint::getModel),
  TRAINING_METRICS("training-metrics", TrainingMetrics.class, false, TrainingMetrics::getJob),
  DEAD_LETTERS(
      "dead-letters",
      DeadLetter.class,
      false,
      letter -> letter.getTopic() + "/" + letter.getPartition() + "/" + letter.getOffset());

  private final String shortName;
  private final Class<? extends SpecificRecordBase> type;
  private final boolean compacted;
  private final Function<SpecificRecordBase, String> key;

  <T extends SpecificRecordBase> Topic(
      String shortName, Class<T> type, boolean compacted, Function<T, String> key) {
    this.shortName = shortName;
    this.type = type;
    this.compacted = compacted;
    this.key = record -> key.apply(type.cast(record));
  }

  /** The name without a prefix. */
  public String shortName() {
    return shortName;
  }

  /** The name on Kafka. */
  public String name(String prefix) {
    return prefix + shortName;
  }

  public Class<? extends SpecificRecordBase> type() {
    return type;
  }

  /** Whether Kafka keeps only the last record of each key. */
  public boolean compacted() {
    return compacted;
  }

  /** The key of a record of this topic's type. */
  public String key(SpecificRecordBase record) {
    return key.apply(record);
  }

  /** The topic of a record type. */
  public static Topic of(Class<? extends SpecificRecordBase> type) {
    return Arrays.stream(values())
        .filter(topic -> topic.type == type)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no topic holds " + type));
  }

  /** The topic of a name, with or without the prefix. */
  public static Optional<Topic> named(String name, String prefix) {
    return Arrays.stream(values())
        .filter(topic -> topic.shortName.equals(name) || topic.name(prefix).equals(name))
        .findFirst();
  }

  /** All short names, for messages. */
  public static String names() {
    return Arrays.stream(values()).map(Topic::shortName).collect(Collectors.joining(", "));
  }
}
