package io.millrace.serve;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.serve.completion.Models.Share;
import io.millrace.serve.feedback.RecordSettings;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What a server serves, and how.
 *
 * @param models the served models by the names that clients use
 * @param aliases further names, each of which splits its requests among models
 * @param kafka of the announcements
 * @param cache opens checkpoints of any place
 * @param copies local directory for copies of announced versions
 * @param roots whether an announced checkpoint may lie there
 * @param record what is recorded; empty for a server that records nothing and takes no feedback
 */
public record ServeSettings(
    HttpSettings http,
    LaneSettings lane,
    Map<String, ModelSource> models,
    Map<String, List<Share>> aliases,
    KafkaSettings kafka,
    CheckpointCache cache,
    Path copies,
    Predicate<String> roots,
    Optional<RecordSettings> record) {

  public ServeSettings {
    models = Collections.unmodifiableMap(new LinkedHashMap<>(models));
    aliases = Map.copyOf(aliases);
    if (models.isEmpty()) {
      throw new IllegalArgumentException("there is no model to serve; name one in serve.models");
    }
  }
}
