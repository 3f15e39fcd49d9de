package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.serve.completion.CompletionIds;
import java.io.IOException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Optional;

/**
 * The responses that were served. The newest are in memory. Older ones, and those of this server
 * before it was restarted, are read from the topic {@code rollouts}.
 */
final class ServedResponses {

  private static final long MOST_CHARACTERS = 64L << 20;

  private final LinkedHashMap<String, ServedResponse> newest = new LinkedHashMap<>();
  private final ResponseSearch older;
  private long characters;

  ServedResponses(KafkaSettings kafka) {
    this.older = new ResponseSearch(kafka, this::add);
  }

  void add(ServedResponse response) {
    synchronized (newest) {
      ServedResponse before = newest.put(response.id(), response);
      characters += size(response) - (before == null ? 0 : size(before));
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
    return time.isEmpty() ? Optional.empty() : older.find(full, time.get());
  }
}
