package io.millrace.connectors.exchange.export;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.exchange.format.Columns;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Records as rows of TRL's data sets, in its conversational form. */
final class TrlRows {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private TrlRows() {}

  /**
   * The row of a record.
   *
   * @return empty for feedback without label: TRL has no column for scores
   * @throws IllegalArgumentException for a record of another type
   */
  static Optional<ObjectNode> of(SpecificRecordBase record) {
    return switch (record) {
      case Judgment judgment -> Optional.of(judgment(judgment));
      case Feedback feedback ->
          feedback.getLabel() == null ? Optional.empty() : Optional.of(feedback(feedback));
      case Demonstration demonstration -> Optional.of(demonstration(demonstration));
      case Prompt prompt -> Optional.of(prompt(prompt));
      case Rollout rollout -> Optional.of(rollout(rollout));
      default ->
          throw new IllegalArgumentException(
              "TRL has no form for records of type " + record.getSchema().getName());
    };
  }

  private static ObjectNode judgment(Judgment judgment) {
    boolean a = judgment.getPreferred() == Preferred.A;
    JudgedResponse chosen = a ? judgment.getResponseA() : judgment.getResponseB();
    JudgedResponse rejected = a ? judgment.getResponseB() : judgment.getResponseA();
    ObjectNode row = NODES.objectNode();
    row.set("prompt", messages(judgment.getDialogue()));
    row.set("chosen", response(chosen.getText()));
    row.set("rejected", response(rejected.getText()));
    row.put(Columns.JUDGMENT_ID, judgment.getJudgmentId());
    row.put(Columns.OBJECTIVE, judgment.getObjective().name());
    row.put(Columns.PREFERRED, judgment.getPreferred().name());
    row.put(Columns.RATING, judgment.getRating().name());
    Columns.write(row, "chosen_", chosen);
    Columns.write(row, "rejected_", rejected);
    row.put(Columns.ANNOTATOR, judgment.getAnnotator());
    origin(row, judgment.getSource(), judgment.getTime(), judgment.getRevision());
    return row;
  }

  private static ObjectNode feedback(Feedback feedback) {
    ObjectNode row = NODES.objectNode();
    row.set("prompt", messages(feedback.getDialogue()));
    row.set("completion", response(feedback.getResponse().getText()));
    row.put("label", feedback.getLabel() == Label.UP);
    row.put(Columns.FEEDBACK_ID, feedback.getFeedbackId());
    if (feedback.getScore() != null) {
      row.put(Columns.SCORE, feedback.getScore());
    }
    row.put(Columns.REASON, feedback.getReason());
    Columns.write(row, "", feedback.getResponse());
    row.put(Columns.ANNOTATOR, feedback.getAnnotator());
    origin(row, feedback.getSource(), feedback.getTime(), feedback.getRevision());
    return row;
  }

  private static ObjectNode demonstration(Demonstration demonstration) {
    ObjectNode row = NODES.objectNode();
    if (Validation.isText(demonstration)) {
      row.put("text", demonstration.getDialogue().getFirst().getContent());
    } else {
      row.set("messages", messages(demonstration.getDialogue()));
    }
    row.put(Columns.DEMONSTRATION_ID, demonstration.getId());
    if (demonstration.getFirstLearnedTurn() != 0) {
      row.put(Columns.FIRST_LEARNED_TURN, demonstration.getFirstLearnedTurn());
    }
    origin(row, demonstration.getSource(), demonstration.getTime(), demonstration.getRevision());
    return row;
  }

  private static ObjectNode prompt(Prompt prompt) {
    ObjectNode row = NODES.objectNode();
    row.set("prompt", messages(prompt.getDialogue()));
    row.put(Columns.PROMPT_ID, prompt.getPromptId());
    row.put(Columns.IS_SAFETY, prompt.getIsSafety());
    origin(row, prompt.getSource(), prompt.getTime(), null);
    return row;
  }

  private static ObjectNode rollout(Rollout rollout) {
    ObjectNode row = NODES.objectNode();
    row.set("prompt", messages(rollout.getDialogue()));
    row.set("completion", response(rollout.getResponseText()));
    row.put("rollout_id", rollout.getRolloutId());
    row.put("model", rollout.getModel());
    row.put("policy_version", rollout.getPolicyVersion());
    row.put("finish_reason", rollout.getFinishReason().name());
    row.put(Columns.IS_SAFETY, rollout.getIsSafety());
    origin(row, rollout.getSource(), rollout.getTime(), null);
    return row;
  }

  private static void origin(ObjectNode row, String source, Instant time, Integer revision) {
    row.put(Columns.SOURCE, source);
    row.put(Columns.TIME, time.toString());
    if (revision != null) {
      row.put(Columns.REVISION, revision);
    }
  }

  private static ArrayNode messages(List<Turn> dialogue) {
    ArrayNode messages = NODES.arrayNode();
    dialogue.forEach(turn -> messages.add(message(turn.getRole(), turn.getContent())));
    return messages;
  }

  private static ArrayNode response(String text) {
    return NODES.arrayNode().add(message(Role.ASSISTANT, text));
  }

  private static ObjectNode message(Role role, String content) {
    return NODES
        .objectNode()
        .put("role", role.name().toLowerCase(Locale.ROOT))
        .put("content", content);
  }
}
