package io.millrace.cli.deadletters;

import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.flink.util.TimeUtils;
import picocli.CommandLine.Option;

/** Options that choose dead letters. */
final class LetterFilter {

  @Option(
      names = "--topic",
      paramLabel = "TOPIC",
      description = "Only records of this topic, such as prompts; or a file, by its path.")
  private String topic;

  @Option(
      names = "--reason",
      paramLabel = "REASON",
      description = "Only this reason, such as undecodable, invalid or too-long.")
  private String reason;

  @Option(
      names = "--job",
      paramLabel = "JOB",
      description = "Only records that this job refused, such as ppo.")
  private String job;

  @Option(
      names = "--since",
      paramLabel = "TIME",
      description =
          "Only records refused since then: an age such as 30min, 2h or 7d, or a time such as"
              + " 2026-01-31T12:00:00Z.")
  private String since;

  private Instant from = Instant.MIN;
  private String prefix = "";

  /** The reasons of dead letters that all other options choose. */
  private final Map<String, Long> reasons = new TreeMap<>();

  /** Whether any option chooses. */
  boolean isGiven() {
    return topic != null || reason != null || job != null || since != null;
  }

  /**
   * Checks the options, before Kafka is asked.
   *
   * @throws UserException naming the option that is wrong
   */
  void prepare(KafkaSettings kafka, Instant now) {
    prefix = kafka.topicPrefix();
    if (topic != null && topic.indexOf('/') < 0) {
      topic = kafka.nameOf(Topic.named(topic, prefix));
    }
    if (since != null) {
      from = time(since, now);
    }
  }

  private static Instant time(String text, Instant now) {
    try {
      return OffsetDateTime.parse(text).toInstant();
    } catch (DateTimeException e) {
      try {
        Duration age = TimeUtils.parseDuration(text);
        return now.minus(age);
      } catch (IllegalArgumentException | ArithmeticException | DateTimeException notAnAge) {
        throw new UserException(
            "--since must be an age such as 30min, 2h or 7d, or a time such as 2026-01-31T12:00:00Z, not '%s'"
                .formatted(text));
      }
    }
  }

  boolean accepts(DeadLetter letter) {
    boolean chosen =
        (topic == null || letter.getTopic().equals(topic))
            && (job == null || letter.getJob().equals(job) || letter.getJob().equals(prefix + job))
            && !letter.getTime().isBefore(from);
    if (chosen && reason != null) {
      reasons.merge(letter.getReason(), 1L, Long::sum);
    }
    return chosen && (reason == null || letter.getReason().equals(reason));
  }

  /**
   * Checks, after all dead letters were read and none was accepted, that this is not for a misspelt
   * reason.
   *
   * @throws UserException naming the reasons that there are
   */
  void requireKnownReason() {
    if (!reasons.isEmpty() && !reasons.containsKey(reason)) {
      throw new UserException(
          "no dead letter%s has --reason %s; there are %s"
              .formatted(
                  topic == null ? "" : " of " + topic,
                  reason,
                  reasons.entrySet().stream()
                      .map(one -> "%s (%d)".formatted(one.getKey(), one.getValue()))
                      .collect(Collectors.joining(", "))));
    }
  }
}
