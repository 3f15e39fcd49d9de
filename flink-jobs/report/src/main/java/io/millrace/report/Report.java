package io.millrace.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.model.supervised.GhostAttentionMeasure.Measured;
import io.millrace.report.RunData.Ghost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** A run, read from where it left its figures, as one HTML file. */
public final class Report {

  private final RunData run;

  private Report(RunData run) {
    this.run = run;
  }

  /** Of a campaign's directory, finished or not. */
  public static Report ofCampaign(Path directory) throws IOException {
    return new Report(CampaignSource.read(directory));
  }

  /** Of the JSON that {@code quickstart --report} wrote. */
  public static Report ofQuickstart(Path file) throws IOException {
    return new Report(QuickstartSource.read(file));
  }

  /** Of the topics of a Kafka, as they stand. */
  public static Report ofKafka(KafkaSettings kafka) throws IOException {
    return new Report(KafkaSource.read(kafka));
  }

  /** Adds the JSON that {@code ghost-attention measure --json} wrote. */
  public void addGhostAttention(Path file) throws IOException {
    Map<String, Measured> measured;
    try {
      measured =
          new ObjectMapper()
              .readValue(Files.readAllBytes(file), new TypeReference<Map<String, Measured>>() {});
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s holds no figures of Ghost Attention: %s".formatted(file, e.getOriginalMessage()), e);
    }
    if (measured == null || measured.get("with") == null || measured.get("without") == null) {
      throw new IOException(
          file + " holds no figures of Ghost Attention: it has no 'with' or no 'without'");
    }
    run.ghost = Optional.of(new Ghost(measured.get("with"), measured.get("without")));
  }

  /** The file's content. */
  public String html() {
    return RunPage.html(run);
  }
}
