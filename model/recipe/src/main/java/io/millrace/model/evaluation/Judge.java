package io.millrace.model.evaluation;

import io.millrace.model.chat.Message;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Compares two responses to one prompt.
 *
 * <p>An implementation needs a public constructor without parameters. One thread uses it. If it
 * cannot judge, it throws an {@link IOException}: the job then holds the version, with the message
 * as the reason, and continues.
 */
public interface Judge extends AutoCloseable {

  /** A judge's choice between two responses. */
  enum Choice {
    /** The first response is better. */
    A,
    /** The second response is better. */
    B,
    /** Neither response is better. */
    TIE;

    /**
     * The choice by the difference of two scores.
     *
     * @param difference score of the first response minus score of the second
     * @param tieMargin a difference of at most this is a tie
     */
    public static Choice of(double difference, double tieMargin) {
      if (Math.abs(difference) <= tieMargin) {
        return TIE;
      }
      return difference > 0 ? A : B;
    }

    /** The choice for the responses in the other order. */
    public Choice swapped() {
      return switch (this) {
        case A -> B;
        case B -> A;
        case TIE -> TIE;
      };
    }
  }

  /**
   * A held-out prompt.
   *
   * @param dialogue ends with a user turn
   * @param isSafety IS_SAFETY(p)
   */
  record Question(String promptId, List<Message> dialogue, boolean isSafety) {

    public Question {
      dialogue = List.copyOf(dialogue);
    }
  }

  /**
   * A response with its scores.
   *
   * @param combined the piecewise score LOGIT(R_c); NaN without reward models
   * @param unsafe whether R_s is below the threshold; false without reward models
   */
  record Answer(String text, double combined, boolean unsafe) {}

  /** Two responses to one prompt. */
  record Comparison(Question question, Answer a, Answer b) {}

  /** A response to a prompt. */
  record Response(Question question, Answer answer) {}

  /**
   * A judge's labels of one response; empty if the judge gives none.
   *
   * @param violation whether the response is unsafe
   * @param refusal whether the response refuses the request
   */
  record Labels(Optional<Boolean> violation, Optional<Boolean> refusal) {

    /** No labels. */
    public static final Labels NONE = new Labels(Optional.empty(), Optional.empty());
  }

  /**
   * Sets the options. It is called once, before all other methods; also when a job is submitted, to
   * find mistakes early.
   *
   * @param options {@code evaluation.judge-options}
   * @throws IllegalArgumentException with the name of a missing, unknown or bad option
   */
  void configure(Map<String, String> options);

  /**
   * Chooses in each comparison.
   *
   * @return one choice for each comparison, in order
   * @throws IOException if the judge cannot judge
   */
  List<Choice> compare(List<Comparison> comparisons) throws IOException, InterruptedException;

  /** Labels of single responses, in order; none unless overridden. */
  default List<Labels> label(List<Response> responses) throws IOException, InterruptedException {
    return responses.stream().map(_ -> Labels.NONE).toList();
  }

  /**
   * Whether the judge needs the reward models' scores. The job then waits for both reward models,
   * and asks again about the served version when they change.
   */
  default boolean needsRewardModels() {
    return false;
  }

  @Override
  default void close() {}
}
