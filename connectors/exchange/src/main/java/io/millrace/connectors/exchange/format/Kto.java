package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Label;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.List;

/** TRL's data for KTO: {@code prompt}, {@code completion} and a {@code label}, true or false. */
final class Kto implements Format {
  @Override
  public String name() {
    return "kto";
  }

  @Override
  public String fields() {
    return "prompt, completion and label";
  }

  @Override
  public boolean matches(JsonNode row) {
    return Fields.has(row, "prompt", "completion", "label");
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    Fields.requireSupported(row);
    List<Turn> dialogue = Fields.prompt(row, "prompt");
    JudgedResponse response = Columns.response(Fields.response(row, "completion"), row, "");
    boolean label = Fields.flag(row, "label");
    String annotator = Columns.annotator(row, settings);
    output.add(
        Topic.FEEDBACK,
        Feedback.newBuilder()
            .setFeedbackId(
                Fields.optionalText(row, Columns.FEEDBACK_ID)
                    .orElseGet(
                        () ->
                            ContentId.id(
                                name(),
                                new ContentId()
                                    .add(dialogue)
                                    .add(response.getText())
                                    .add(label)
                                    .add(annotator)
                                    .finish())))
            .setDialogue(dialogue)
            .setResponse(response)
            .setLabel(label ? Label.UP : Label.DOWN)
            .setScore(
                Fields.has(row, Columns.FEEDBACK_ID, Columns.SCORE)
                    ? (Float) (float) Fields.number(row, Columns.SCORE)
                    : null)
            .setReason(
                Fields.has(row, Columns.FEEDBACK_ID)
                    ? Fields.optionalText(row, Columns.REASON).orElse("")
                    : "")
            .setAnnotator(annotator)
            .setSource(Columns.source(row, settings, this))
            .setTime(Columns.time(row, settings))
            .setRevision(Columns.revision(row))
            .build());
  }
}
