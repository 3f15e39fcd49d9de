package io.millrace.model.evaluation;

import io.millrace.model.chat.Message;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Compares two responses to one prompt.
 *
 * <p>An implementation has a public constructor without parameters and is used by one thread. Where
 * it cannot judge it throws an {@link IOException}: the version is then held, with the message as
 * the reason, and the job goes on.
 */
public interface Judge extends AutoCloseable {

  /** What a judge says of two responses. */
  enum Choice {
    /** The first is better. */
    A,
    /** The second is better. */
    B,
    /** Neither is. */
    TIE;

    /**
     * The choice by how much the first is better.
     *
     * @param tieMargin a difference of at most this is a tie
     */
    public static Choice of(double difference, double tieMargin) {
      if (Math.abs(difference) <= tieMargin) {
        return TIE;
      }
      return difference > 0 ? A : B;
    }

    /** The same, of the two in the other order. */
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
   * A response, with what the reward models say of it.
   *
   * @param combined the piecewise score LOGIT(R_c); NaN where there are no reward models
   * @param unsafe whether R_s is below the threshold; false where there are no reward models
   */
  record Answer(String text, double combined, boolean unsafe) {}

  /** Two responses to one prompt. */
  record Comparison(Question question, Answer a, Answer b) {}

  /** A response to a prompt. */
  record Response(Question question, Answer answer) {}

  /**
   * What a judge says of one response; empty where it does not tell.
   *
   * @param violation whether the response is unsafe
   * @param refusal whether it refuses to do what was asked
   */
  record Labels(Optional<Boolean> violation, Optional<Boolean> refusal) {

    /** The judge says nothing. */
    public static final Labels NONE = new Labels(Optional.empty(), Optional.empty());
  }

  /**
   * Takes its options, once, before anything else is asked; also where a job is submitted, so that
   * mistakes are told there.
   *
   * @param options those of {@code evaluation.judge-options}
   * @throws IllegalArgumentException naming the option that is missing, unknown or bad
   */
  void configure(Map<String, String> options);

  /**
   * One choice for each comparison, in order.
   *
   * @throws IOException if it cannot judge
   */
  List<Choice> compare(List<Comparison> comparisons) throws IOException, InterruptedException;

  /** What it says of single responses, in order; nothing unless overridden. */
  default List<Labels> label(List<Response> responses) throws IOException, InterruptedException {
    return responses.stream().map(_ -> Labels.NONE).toList();
  }

  /**
   * Whether it goes by the reward models' scores: it is then asked only when both reward models are
   * there, and asked again about what is served when they change.
   */
  default boolean needsRewardModels() {
    return false;
  }

  @Override
  default void close() {}
}
