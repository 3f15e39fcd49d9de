package io.millrace.jobs.operator;

import io.millrace.jobs.config.SupervisedSection;
import io.millrace.jobs.config.SupervisedSection.LearnedTokens;
import io.millrace.model.tokenizer.Message;
import io.millrace.model.train.SupervisedExamples;
import io.millrace.model.train.SupervisedTrainer.Example;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Validation;
import java.util.List;

/** Demonstrations as a policy's tokens, with what is learned of them. */
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

  /** Tokens of a training sequence. */
  int sequenceLength() {
    return sequenceLength;
  }

  /** One example, or the pieces of a longer text. */
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
