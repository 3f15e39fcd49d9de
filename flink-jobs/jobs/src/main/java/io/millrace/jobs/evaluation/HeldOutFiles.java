package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.TextLines;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.avro.specific.SpecificRecordBase;

/** Held-out data from files: policies and reward models are compared on it, and not trained. */
record HeldOutFiles(
    List<Prompt> prompts, List<Demonstration> demonstrations, List<Judgment> judgments) {

  /** Bad lines that a message lists. */
  private static final int LISTED = 5;

  private interface Line<T> {
    T read(String line, String origin);
  }

  /**
   * Reads the files that a configuration names.
   *
   * @throws IOException if a file cannot be read, is empty, or has bad lines; the message lists the
   *     first bad lines
   */
  static HeldOutFiles read(EvaluationSection section) throws IOException {
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
            "evaluation.prompts %s has promptId %s twice; ids must be unique"
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
    try (TextLines lines = new TextLines(CheckpointStore.read(file))) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        if (line.get().isBlank()) {
          continue;
        }
        String origin = "line " + line.get().number();
        try {
          records.add(format.read(line.get().text(), origin));
        } catch (UnusableRecordException e) {
          String message = e.getMessage();
          problems.add(message.startsWith(origin) ? message : origin + ": " + message);
        }
      }
    } catch (IOException e) {
      throw new IOException("%s %s cannot be read: %s".formatted(option, file, e), e);
    }
    if (!problems.isEmpty()) {
      throw new IOException(
          "%s %s has %d lines that cannot be used: %s%s"
              .formatted(
                  option,
                  file,
                  problems.size(),
                  String.join("; ", problems.subList(0, Math.min(LISTED, problems.size()))),
                  problems.size() > LISTED ? "; …" : ""));
    }
    if (records.isEmpty()) {
      throw new IOException("%s %s has no records: all lines are blank".formatted(option, file));
    }
    return records;
  }
}
