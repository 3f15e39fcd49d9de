package io.millrace.serve.feedback;

import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Turns the fields of {@code POST /v1/feedback} into records. */
final class FeedbackRequest {

  private static final int LONGEST_ID = 256;
  private static final int LONGEST_TEXT = 1 << 20;
  private static final int LONGEST_REASON = 4096;

  private final Fields fields;
  private final ServedResponses responses;
  private final String id;
  private final String source;
  private final Instant time;
  private final int revision;
  private final String annotator;

  /**
   * @param id of all records
   */
  FeedbackRequest(
      Fields fields, ServedResponses responses, String id, String source, Instant time) {
    this.fields = fields;
    this.responses = responses;
    this.id = id;
    this.source = source;
    this.time = time;
    this.revision = Math.toIntExact(fields.whole("revision", 0, Integer.MAX_VALUE).orElse(0L));
    this.annotator = fields.optionalText("annotator", Validation.MAX_ID_CHARACTERS);
  }

  /** The client's id of the feedback; empty if it gives none. */
  static Optional<String> id(Fields fields) {
    Optional<String> id = fields.text("feedback_id");
    id.ifPresent(
        text -> {
          if (text.isBlank() || text.length() > LONGEST_ID) {
            throw ApiException.badValue(
                "feedback_id",
                "\"feedback_id\" must have 1 to %d characters".formatted(LONGEST_ID));
          }
        });
    return id;
  }

  int revision() {
    return revision;
  }

  /**
   * The records of the feedback: a judgment for a choice; a label, a demonstration or both for a
   * single response.
   *
   * @throws ApiException 400 for a wrong field, 404 for an unknown response
   */
  List<Submission.Entry<?>> entries() {
    List<Submission.Entry<?>> entries = new ArrayList<>();
    if (fields.get("response_a").isPresent() || fields.get("response_b").isPresent()) {
      entries.add(new Submission.Entry<>(Topic.JUDGMENTS, choice()));
    } else {
      ServedResponse response = response("completion");
      Optional<String> correction = fields.text("correction");
      correction.ifPresent(
          text ->
              entries.add(new Submission.Entry<>(Topic.DEMONSTRATIONS, better(response, text))));
      if (correction.isEmpty()
          || fields.get("label").isPresent()
          || fields.get("score").isPresent()
          || fields.get("unsafe").isPresent()) {
        entries.add(new Submission.Entry<>(Topic.FEEDBACK, opinion(response)));
      }
    }
    for (Submission.Entry<?> entry : entries) {
      require(entry.record());
    }
    return entries;
  }

  private static void require(SpecificRecordBase record) {
    List<String> problems = Validation.problems(record);
    if (!problems.isEmpty()) {
      throw ApiException.badRequest("invalid_feedback", String.join("; ", problems));
    }
  }

  private ServedResponse response(String name) {
    String wanted = fields.requiredText(name, Validation.MAX_ID_CHARACTERS);
    try {
      return responses
          .find(wanted)
          .orElseThrow(
              () ->
                  ApiException.notFound(
                      "completion_not_found",
                      name,
                      "\"%s\" is no response of this server that it keeps for feedback; one without consent (\"store\") is not kept, nor a text completion"
                          .formatted(name)));
    } catch (IOException e) {
      throw ApiException.unavailable("kafka_unavailable", Duration.ofSeconds(2), e.getMessage());
    }
  }

  private Feedback opinion(ServedResponse response) {
    return Feedback.newBuilder()
        .setFeedbackId(id)
        .setDialogue(response.dialogue())
        .setResponse(response.judged(fields.optionalFlag("unsafe").orElse(null)))
        .setLabel(fields.constant("label", Label.class).orElse(null))
        .setScore(fields.number("score", 0, 1).map(Double::floatValue).orElse(null))
        .setReason(fields.optionalText("reason", LONGEST_REASON))
        .setAnnotator(annotator)
        .setSource(source)
        .setTime(time)
        .setRevision(revision)
        .build();
  }

  private Demonstration better(ServedResponse response, String correction) {
    if (correction.isBlank() || correction.length() > LONGEST_TEXT) {
      throw ApiException.badValue(
          "correction",
          "\"correction\" must have text, of at most %d characters".formatted(LONGEST_TEXT));
    }
    List<Turn> dialogue = new ArrayList<>(response.dialogue());
    dialogue.add(new Turn(Role.ASSISTANT, correction));
    return Demonstration.newBuilder()
        .setId(id)
        .setDialogue(dialogue)
        .setSource(source)
        .setTime(time)
        // Earlier responses are the policy's own.
        .setFirstLearnedTurn(dialogue.size() - 1)
        .setRevision(revision)
        .build();
  }

  private Judgment choice() {
    ServedResponse a = response("response_a");
    ServedResponse b = response("response_b");
    if (a.id().equals(b.id())) {
      throw ApiException.badValue(
          "response_b", "\"response_a\" and \"response_b\" are the same response");
    }
    if (!a.dialogue().equals(b.dialogue())) {
      throw ApiException.badValue(
          "response_b", "\"response_a\" and \"response_b\" answer different prompts");
    }
    Judgment judgment =
        Judgment.newBuilder()
            .setJudgmentId(id)
            .setObjective(
                fields.constant("objective", Objective.class).orElse(Objective.HELPFULNESS))
            .setDialogue(a.dialogue())
            .setResponseA(a.judged(fields.optionalFlag("unsafe_a").orElse(null)))
            .setResponseB(b.judged(fields.optionalFlag("unsafe_b").orElse(null)))
            .setPreferred(required("preferred", Preferred.class))
            .setRating(required("rating", Rating.class))
            .setAnnotator(annotator)
            .setSource(source)
            .setTime(time)
            .setRevision(revision)
            .build();
    if (Validation.isBetweenSameResponses(judgment)) {
      throw ApiException.badRequest(
          "same_responses", "both responses have the same text; neither can be preferred");
    }
    return judgment;
  }

  private <E extends Enum<E>> E required(String name, Class<E> type) {
    return fields
        .constant(name, type)
        .orElseThrow(() -> ApiException.badValue(name, "\"%s\" is missing".formatted(name)));
  }
}
