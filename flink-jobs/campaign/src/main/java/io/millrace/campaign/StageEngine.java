package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageRecord;
import io.millrace.campaign.record.StageResult;
import java.io.IOException;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Runs stages one after the other, each to its end once, and records every step. */
final class StageEngine {

  /** Stores the record. */
  interface Records {
    void write(CampaignRecord record) throws IOException;
  }

  private final Records records;
  private final InstantSource clock;
  private final Consumer<StageRecord> listener;

  /**
   * An engine.
   *
   * @param listener gets each stage at every attempt and at its end
   */
  StageEngine(Records records, InstantSource clock, Consumer<StageRecord> listener) {
    this.records = records;
    this.clock = clock;
    this.listener = listener;
  }

  /**
   * Runs all stages that are not done.
   *
   * @param known the record so far
   * @return the record with all stages done
   */
  CampaignRecord run(CampaignRecord known, List<Stage> stages) throws Exception {
    CampaignRecord record = known;
    for (Stage stage : stages) {
      StageRecord at = record.stage(stage.id()).orElse(null);
      if (at != null && at.isDone()) {
        continue;
      }
      if (at == null) {
        Map<String, Long> start = stage.begin(record);
        at =
            StageRecord.begun(
                stage.id(), stage.version(), stage.title(), clock.instant().toString(), start);
      } else {
        at = at.again();
      }
      record = save(record, at);
      long from = clock.millis();
      StageResult result = stage.run(record, at.start());
      at = at.done(clock.instant().toString(), (clock.millis() - from) / 1000.0, result);
      record = save(record, at);
    }
    return record;
  }

  private CampaignRecord save(CampaignRecord record, StageRecord stage) throws IOException {
    CampaignRecord next = record.with(stage);
    records.write(next);
    listener.accept(stage);
    return next;
  }
}
