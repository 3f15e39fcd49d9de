package io.millrace.schemas;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * What {@linkplain Withdrawal withdrawals} and revisions need to know of a record, or of something
 * that was made from it, such as a training example in tokens.
 *
 * @param ids the record's id, then those of the records that it was made from
 * @param annotator who judged; empty when unknown, and for other records than judgments and
 *     feedback
 * @param source application or data set; empty when unknown
 * @param time milliseconds since 1970 at which the record was made; 0 when unknown
 * @param revision a record with a higher one replaces this record
 */
public record Provenance(
    List<String> ids, String annotator, String source, long time, int revision) {

  /** Of something of which nobody knows whose it is: every withdrawal matches it. */
  public static final Provenance UNKNOWN = new Provenance(List.of(), "", "", 0, 0);

  public Provenance {
    ids = List.copyOf(ids);
  }

  /** Of a record of which only the id is known. */
  public static Provenance ofId(String id) {
    return new Provenance(List.of(id), "", "", 0, 0);
  }

  /**
   * Of a judgment, feedback, demonstration, prompt or rollout.
   *
   * @throws IllegalArgumentException for a record of another type
   */
  public static Provenance of(SpecificRecordBase record) {
    return switch (record) {
      case Judgment judgment ->
          new Provenance(
              ids(
                  judgment.getJudgmentId(),
                  List.of(judgment.getResponseA(), judgment.getResponseB())),
              judgment.getAnnotator(),
              judgment.getSource(),
              millis(judgment.getTime()),
              revision(judgment));
      case Feedback feedback ->
          new Provenance(
              ids(feedback.getFeedbackId(), List.of(feedback.getResponse())),
              feedback.getAnnotator(),
              feedback.getSource(),
              millis(feedback.getTime()),
              revision(feedback));
      case Demonstration demonstration ->
          new Provenance(
              List.of(demonstration.getId()),
              "",
              demonstration.getSource(),
              millis(demonstration.getTime()),
              revision(demonstration));
      case Prompt prompt ->
          new Provenance(
              List.of(prompt.getPromptId()), "", prompt.getSource(), millis(prompt.getTime()), 0);
      case Rollout rollout ->
          new Provenance(
              List.of(rollout.getRolloutId(), rollout.getPromptId()),
              "",
              rollout.getSource(),
              millis(rollout.getPromptTime() == null ? rollout.getTime() : rollout.getPromptTime()),
              0);
      default ->
          throw new IllegalArgumentException(
              "records of type %s are made from no record of a person"
                  .formatted(record.getSchema().getFullName()));
    };
  }

  /** The revision of a record; 0 for a record without one. */
  public static int revision(SpecificRecordBase record) {
    Integer revision =
        switch (record) {
          case Judgment judgment -> judgment.getRevision();
          case Feedback feedback -> feedback.getRevision();
          case Demonstration demonstration -> demonstration.getRevision();
          default -> null;
        };
    return revision == null ? 0 : revision;
  }

  /** Whether this is the same record, in an earlier revision than another. */
  public boolean isRevisedBy(Provenance other) {
    return !ids.isEmpty()
        && !other.ids.isEmpty()
        && ids.getFirst().equals(other.ids.getFirst())
        && revision < other.revision;
  }

  /** A judgment or feedback shows the prompt of its rollouts, and their responses. */
  private static List<String> ids(String id, List<JudgedResponse> responses) {
    List<String> ids = new ArrayList<>();
    ids.add(id);
    for (JudgedResponse response : responses) {
      String rollout = response.getRolloutId();
      if (rollout != null) {
        ids.add(rollout);
        // The id of a rollout is its prompt's id, a slash and the number of the sample.
        int slash = rollout.lastIndexOf('/');
        if (slash > 0) {
          ids.add(rollout.substring(0, slash));
        }
      }
    }
    return ids;
  }

  private static long millis(Instant time) {
    return time == null ? 0 : time.toEpochMilli();
  }
}
