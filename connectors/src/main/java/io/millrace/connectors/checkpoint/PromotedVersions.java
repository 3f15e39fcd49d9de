package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** What the last verdict says is to be served. */
final class PromotedVersions {
  private PromotedVersions() {}

  /** The served version of a model and the one that a roll back would go to; empty for neither. */
  static Set<Long> of(KafkaSettings settings, String model) throws IOException {
    List<Promotion> last = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(settings, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .ifPresent(last::add));
    }
    return last.isEmpty()
        ? Set.of()
        : Set.copyOf(List.of(last.getLast().getVersion(), last.getLast().getBefore()));
  }
}
