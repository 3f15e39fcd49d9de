package io.millrace.jobs.models;

import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.List;
import java.util.OptionalLong;
import org.apache.avro.reflect.Nullable;

/**
 * A judgment or a feedback: one of the two is null.
 *
 * @param judgment a choice between two responses
 * @param feedback an opinion of one response
 */
public record Opinion(@Nullable Judgment judgment, @Nullable Feedback feedback) {

  public static Opinion of(Judgment judgment) {
    return new Opinion(judgment, null);
  }

  public static Opinion of(Feedback feedback) {
    return new Opinion(null, feedback);
  }

  /** The topic of the record. */
  public Topic<?> topic() {
    return judgment == null ? Topic.FEEDBACK : Topic.JUDGMENTS;
  }

  /** The id of the record. */
  public String id() {
    return judgment == null ? feedback.getFeedbackId() : judgment.getJudgmentId();
  }

  /** Whose record it is. */
  public Provenance provenance() {
    return Provenance.of(judgment == null ? feedback : judgment);
  }

  /** The prompt. */
  public List<Turn> dialogue() {
    return judgment == null ? feedback.getDialogue() : judgment.getDialogue();
  }

  /** The one response, or both in the order in which they were shown. */
  public List<JudgedResponse> responses() {
    return judgment == null
        ? List.of(feedback.getResponse())
        : List.of(judgment.getResponseA(), judgment.getResponseB());
  }

  /** Whether policy versions sampled all responses. */
  public boolean isOfPolicies() {
    return responses().stream().allMatch(response -> response.getPolicyVersion() != null);
  }

  /** The oldest policy version that sampled a response; empty if none is known. */
  public OptionalLong oldestVersion() {
    return responses().stream()
        .filter(response -> response.getPolicyVersion() != null)
        .mapToLong(JudgedResponse::getPolicyVersion)
        .min();
  }
}
