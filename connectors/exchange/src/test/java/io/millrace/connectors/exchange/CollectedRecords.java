package io.millrace.connectors.exchange;

import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Formats;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Keeps what an import gives. */
final class CollectedRecords implements Import.Receiver {
  static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

  final List<SpecificRecordBase> records = new ArrayList<>();
  final List<Topic<?>> topics = new ArrayList<>();
  final List<Refusal> refusals = new ArrayList<>();
  ImportReport report;

  /** Imports a file whose content says its format; judgments are about helpfulness. */
  static CollectedRecords of(Path file) throws IOException {
    return of(file, null, Settings.at(NOW).with(Objective.HELPFULNESS), Bounds.DEFAULT);
  }

  static CollectedRecords of(Path file, String format, Settings settings, Bounds bounds)
      throws IOException {
    CollectedRecords collected = new CollectedRecords();
    Import run = new Import(Optional.ofNullable(format).map(Formats::named), settings, bounds);
    run.run(file, collected);
    collected.report = run.report();
    return collected;
  }

  @Override
  public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) {
    topics.add(topic);
    records.add(record);
  }

  @Override
  public void refused(Refusal refusal) {
    refusals.add(refusal);
  }

  /** The only record. */
  <T extends SpecificRecordBase> T only(Class<T> type) {
    if (records.size() != 1) {
      throw new AssertionError(records + " " + refusals);
    }
    return type.cast(records.getFirst());
  }

  List<String> reasons() {
    return refusals.stream().map(Refusal::reason).toList();
  }
}
