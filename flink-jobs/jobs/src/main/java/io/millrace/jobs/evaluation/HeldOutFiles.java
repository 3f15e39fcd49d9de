package io.millrace.jobs.evaluation;

import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.jobs.models.RecordFile;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.avro.specific.SpecificRecordBase;

/** Held-out data from files: policies and reward models are compared on it, and not trained. */
record HeldOutFiles(
    List<Prompt> prompts, List<Demonstration> demonstrations, List<Judgment> judgments) {

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
        RecordFile.lines(
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
        optional("evaluation.demonstrations", section.demonstrations(), DemonstrationLine::read),
        optional("evaluation.judgments", section.judgments(), RecordFile::judgment));
  }

  private static <T extends SpecificRecordBase> List<T> optional(
      String option, String file, RecordFile.Line<T> format) throws IOException {
    return file.isBlank() ? List.of() : RecordFile.lines(option, file, format);
  }
}
