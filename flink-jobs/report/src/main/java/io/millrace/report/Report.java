package io.millrace.report;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.report.RunData.Ghost;
import io.millrace.schemas.wire.MillraceJson;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;

/** A report about a run, as one HTML file. */
public final class Report {

  private final RunData run;

  private Report(RunData run) {
    this.run = run;
  }

  /** A report about the campaign in a directory, finished or not. */
  public static Report ofCampaign(Path directory) throws IOException {
    return new Report(CampaignSource.read(directory));
  }

  /** A report about the JSON that {@code quickstart --report} wrote. */
  public static Report ofQuickstart(Path file) throws IOException {
    return new Report(QuickstartSource.read(file));
  }

  /** A report about the current records of a Kafka. */
  public static Report ofKafka(KafkaSettings kafka) throws IOException {
    return new Report(KafkaSource.read(kafka));
  }

  /** Adds the JSON that {@code ghost-attention measure --json} wrote. */
  public void addGhostAttention(Path file) throws IOException {
    Ghost measured = MillraceJson.read(file, Ghost.class, "measurement of Ghost Attention");
    run.ghost = Optional.of(measured);
  }

  /** The content of the file. */
  public String html() {
    return RunPage.html(run, Instant.now());
  }
}
