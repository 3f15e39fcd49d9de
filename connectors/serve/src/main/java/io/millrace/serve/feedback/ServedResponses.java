package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.serve.completion.CompletionIds;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Optional;

/**
 * The responses that were served. The newest are in memory. Older ones, and those of this server
 * before it was restarted, are read from the topic {@code rollouts}.
 */
final class ServedResponses {

  private static final long MOST_CHARACTERS = 64L << 20;

  /** Kafka stamps a record when it is sent, which may be before the clock of the id. */
  private static final Duration SKEW = Duration.ofMinutes(1);

  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration LONGEST_SEARCH = Duration.ofSeconds(10);

  private final KafkaSettings kafka;
  private final LinkedHashMap<String, ServedResponse> newest = new LinkedHashMap<>();
  private final Object search = new Object();
  private long characters;

  ServedResponses(KafkaSettings kafka) {
    this.kafka = kafka;
  }

  void add(ServedResponse response) {
    synchronized (newest) {
      newest.put(response.id(), response);
      characters += size(response);
      var eldest = newest.entrySet().iterator();
      while (characters > MOST_CHARACTERS) {
        characters -= size(eldest.next().getValue());
        eldest.remove();
      }
    }
  }

  private static long size(ServedResponse response) {
    return 200L
        + response.text().length()
        + response.dialogue().stream().mapToLong(turn -> turn.getContent().length()).sum();
  }

  /**
   * A response by its id. The id of a completion means its only response, with index 0.
   *
   * @throws IOException if Kafka cannot be read
   */
  Optional<ServedResponse> find(String id) throws IOException {
    String full = id.contains("/") ? id : id + "/0";
    synchronized (newest) {
      ServedResponse known = newest.get(full);
      if (known != null) {
        return Optional.of(known);
      }
    }
    Optional<Instant> time = CompletionIds.time(full);
    return time.isEmpty() ? Optional.empty() : read(full, time.get());
  }

  private Optional<ServedResponse> read(String id, Instant time) throws IOException {
    if (time.isAfter(Instant.now().plus(SKEW))) {
      return Optional.empty();
    }
    // One search at a time: each reads a part of the topic.
    synchronized (search) {
      long end = System.nanoTime() + LONGEST_SEARCH.toNanos();
      try (RecordReader<Rollout> reader =
          RecordReader.fromTime(kafka, Topic.ROLLOUTS, time.minus(SKEW))) {
        while (System.nanoTime() < end) {
          Optional<RecordReader.Entry<Rollout>> entry = reader.next(POLL);
          if (entry.isEmpty() && reader.remaining() == 0) {
            return Optional.empty();
          }
          Optional<Rollout> found =
              entry
                  .flatMap(RecordReader.Entry::record)
                  .filter(rollout -> rollout.getRolloutId().equals(id));
          if (found.isPresent()) {
            return found.map(ServedResponses::served);
          }
        }
        throw new IOException(
            "the response was not found in the topic %s within %d s"
                .formatted(Topic.ROLLOUTS.name(), LONGEST_SEARCH.toSeconds()));
      }
    }
  }

  private static ServedResponse served(Rollout rollout) {
    return new ServedResponse(
        rollout.getRolloutId(),
        rollout.getDialogue(),
        rollout.getResponseText(),
        rollout.getPolicyVersion(),
        rollout.getFinishReason() == FinishReason.LENGTH);
  }
}
