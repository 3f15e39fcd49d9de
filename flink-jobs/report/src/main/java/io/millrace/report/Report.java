package io.millrace.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.report.RunData.Ghost;
import io.millrace.schemas.wire.JsonProblem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;

/** A report about a run, as one HTML file. */
public final class Report {

  private static final ObjectMapper JSON = new ObjectMapper();

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
    Ghost measured;
    try {
      measured = JSON.readValue(Files.readAllBytes(file), Ghost.class);
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s holds no measurements of Ghost Attention: %s".formatted(file, JsonProblem.of(e)), e);
    }
    if (measured == null || measured.with() == null || measured.without() == null) {
      throw new IOException(
          file + " holds no measurements of Ghost Attention: it has no 'with' or no 'without'");
    }
    run.ghost = Optional.of(measured);
  }

  /** The content of the file. */
  public String html() {
    return RunPage.html(run, Instant.now());
  }
}
