package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.avro.specific.SpecificRecordBase;

/** What policies and reward models are compared on, and nothing was trained on. */
public record HeldOutFiles(
    List<Prompt> prompts, List<Demonstration> demonstrations, List<Judgment> judgments) {

  private static final int TOLD = 5;

  private interface Line<T> {
    T read(String line, String origin);
  }

  /**
   * Reads the files that a configuration names.
   *
   * @throws IOException if one cannot be read, is empty, or has lines that cannot be used, with the
   *     first of them
   */
  public static HeldOutFiles read(EvaluationSection section) throws IOException {
    if (section.prompts().isBlank()) {
      throw new IOException(
          "evaluation.prompts must name a file of held-out prompts (JSON Lines);"
              + " millrace evaluation demo writes the demo world's");
    }
    List<Prompt> prompts =
        lines(
            "evaluation.prompts",
            section.prompts(),
            (line, _) -> Validation.require(JsonLines.read(Prompt.class, line)));
    Set<String> ids = new HashSet<>();
    for (Prompt prompt : prompts) {
      if (!ids.add(prompt.getPromptId())) {
        throw new IOException(
            "evaluation.prompts %s has promptId %s twice"
                .formatted(section.prompts(), prompt.getPromptId()));
      }
    }
    return new HeldOutFiles(
        prompts,
        lines("evaluation.demonstrations", section.demonstrations(), DemonstrationLine::read),
        lines(
            "evaluation.judgments",
            section.judgments(),
            (line, _) -> Validation.require(JsonLines.read(Judgment.class, line))));
  }

  private static <T extends SpecificRecordBase> List<T> lines(
      String option, String file, Line<T> format) throws IOException {
    List<T> records = new ArrayList<>();
    if (file.isBlank()) {
      return records;
    }
    List<String> problems = new ArrayList<>();
    List<String> lines;
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                CheckpointStore.read(file), StandardCharsets.UTF_8.newDecoder()))) {
      lines = reader.readAllLines();
    } catch (IOException e) {
      throw new IOException("%s %s cannot be read: %s".formatted(option, file, e), e);
    }
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).isBlank()) {
        continue;
      }
      String origin = "line " + (i + 1);
      try {
        records.add(format.read(lines.get(i), origin));
      } catch (UnusableRecordException e) {
        String message = e.getMessage();
        problems.add(message.startsWith(origin) ? message : origin + ": " + message);
      }
    }
    if (!problems.isEmpty()) {
      throw new IOException(
          "%s %s has %d lines that cannot be used: %s%s"
              .formatted(
                  option,
                  file,
                  problems.size(),
                  String.join("; ", problems.subList(0, Math.min(TOLD, problems.size()))),
                  problems.size() > TOLD ? "; …" : ""));
    }
    if (records.isEmpty()) {
      throw new IOException("%s %s has no line that is not empty".formatted(option, file));
    }
    return records;
  }
}
