package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Reads from the topic promotions which versions must stay in the store. */
public final class PromotedVersions {
  private PromotedVersions() {}

  /**
   * The served version of a model, the version that a roll back would return to and the best one,
   * all from the last verdict; empty when there is no verdict.
   */
  public static Set<Long> of(KafkaSettings settings, String model) throws IOException {
    List<Promotion> verdicts = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(settings, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .ifPresent(verdicts::add));
    }
    return verdicts.isEmpty()
        ? Set.of()
        : Stream.of(
                verdicts.getLast().getVersion(),
                verdicts.getLast().getBefore(),
                verdicts.getLast().getBest())
            .filter(version -> version != 0)
            .collect(Collectors.toUnmodifiableSet());
  }
}
