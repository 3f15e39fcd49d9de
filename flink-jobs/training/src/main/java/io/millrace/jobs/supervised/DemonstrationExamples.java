package io.millrace.jobs.supervised;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.OldestTurns;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.supervised.SupervisedSection.LearnedTokens;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.supervised.SupervisedExamples;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Validation;
import java.util.List;

/** Turns demonstrations into training examples in a policy's tokens. */
final class DemonstrationExamples {

  private final PolicyModel policy;
  private final LearnedTokens loss;
  private final int sequenceLength;

  DemonstrationExamples(PolicyModel policy, SupervisedSection section) {
    this.policy = policy;
    this.loss = section.loss();
    this.sequenceLength =
        Math.min(section.sequenceLength(), policy.model().config().maxPositions());
  }

  /**
   * Refuses dialogues that do not fit into a training sequence. If all tokens are learned, longer
   * dialogues are cut instead.
   */
  static LengthCheck<Demonstration> lengthCheck(MillraceConfig config) {
    SupervisedSection section = config.section(SupervisedSection.class);
    if (section.loss() == LearnedTokens.ALL_TOKENS) {
      return LengthCheck.ofPieces(
          config,
          (template, record) -> {
            template.requireEncodable(Dialogues.messages(record.getDialogue()));
            return 0;
          });
    }
    return new LengthCheck<>(
        config,
        "supervised.sequence-length",
        section.sequenceLength(),
        0,
        DemonstrationExamples::length,
        section.truncate() ? new OldestOfDemonstration() : null);
  }

  /** The last user and assistant turn stay. */
  private static final class OldestOfDemonstration
      implements LengthCheck.Shortening<Demonstration> {
    private static final long serialVersionUID = 1;

    @Override
    public int droppable(Demonstration demonstration) {
      return OldestTurns.droppable(demonstration.getDialogue(), 2);
    }

    @Override
    public Demonstration without(Demonstration demonstration, int pairs) {
      int first = OldestTurns.first(demonstration.getDialogue());
      int learned = demonstration.getFirstLearnedTurn();
      return Demonstration.newBuilder(demonstration)
          .setDialogue(OldestTurns.without(demonstration.getDialogue(), pairs))
          .setFirstLearnedTurn(learned <= first ? learned : Math.max(first, learned - 2 * pairs))
          .build();
    }
  }

  private static int length(ChatTemplate template, Demonstration record) {
    if (Validation.isText(record)) {
      throw new RefusedRecordException(
          "no-answer",
          "a plain text has no answer to learn from; set supervised.loss to all-tokens to learn"
              + " it");
    }
    return template.demonstration(Dialogues.messages(record.getDialogue())).tokens().length;
  }

  /** Maximum tokens of a training sequence. */
  int sequenceLength() {
    return sequenceLength;
  }

  /** The examples of a demonstration: one, or the pieces of a longer text. */
  List<Example> of(Demonstration demonstration) {
    if (Validation.isText(demonstration)) {
      return SupervisedExamples.cut(
          SupervisedExamples.text(
              policy.tokenizer(), demonstration.getDialogue().getFirst().getContent()),
          sequenceLength);
    }
    List<Message> dialogue = Dialogues.messages(demonstration.getDialogue());
    return switch (loss) {
      case ANSWERS ->
          List.of(
              SupervisedExamples.answers(
                  policy.template(), dialogue, demonstration.getFirstLearnedTurn()));
      case ALL_TOKENS ->
          SupervisedExamples.cut(
              SupervisedExamples.allTokens(policy.template(), dialogue), sequenceLength);
    };
  }
}
