package io.millrace.schemas;

import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;

/** What a record must be beside having its schema. */
public final class Validation {

  private static final String INVALID = "invalid";

  private Validation() {}

  /**
   * Checks a record of any topic.
   *
   * @throws InvalidRecordException with the field and its value
   */
  public static void check(SpecificRecordBase record) {
    switch (record) {
      case Prompt prompt -> {
        present("promptId", prompt.getPromptId());
        dialogue(prompt.getDialogue(), Role.USER);
      }
      case Demonstration demonstration -> {
        present("id", demonstration.getId());
        dialogue(demonstration.getDialogue(), Role.ASSISTANT);
      }
      case Judgment judgment -> {
        present("judgmentId", judgment.getJudgmentId());
        dialogue(judgment.getDialogue(), Role.USER);
        present("responseA.text", judgment.getResponseA().getText());
        present("responseB.text", judgment.getResponseB().getText());
      }
      case Rollout rollout -> rollout(rollout);
      default -> {
        // The other topics are written by Millrace's own jobs alone.
      }
    }
  }

  private static void rollout(Rollout rollout) {
    present("rolloutId", rollout.getRolloutId());
    present("promptId", rollout.getPromptId());
    int tokens = rollout.getResponseTokens().size();
    if (tokens == 0 || rollout.getPromptTokens().isEmpty()) {
      throw new InvalidRecordException(
          INVALID,
          "rollout %s has %d prompt tokens and %d response tokens"
              .formatted(rollout.getRolloutId(), rollout.getPromptTokens().size(), tokens));
    }
    if (rollout.getLogProbs().size() != tokens) {
      throw new InvalidRecordException(
          INVALID,
          "rollout %s has %d log-probs for %d response tokens"
              .formatted(rollout.getRolloutId(), rollout.getLogProbs().size(), tokens));
    }
    for (float logProb : rollout.getLogProbs()) {
      if (!(logProb <= 0) || Float.isInfinite(logProb)) {
        throw new InvalidRecordException(
            INVALID, "rollout " + rollout.getRolloutId() + " has the log-prob " + logProb);
      }
    }
    if (!(rollout.getTemperature() > 0)) {
      throw new InvalidRecordException(
          INVALID,
          "rollout " + rollout.getRolloutId() + " has temperature " + rollout.getTemperature());
    }
  }

  private static void present(String field, String value) {
    if (value.isBlank()) {
      throw new InvalidRecordException(INVALID, field + " is empty");
    }
  }

  private static void dialogue(List<Turn> dialogue, Role last) {
    int first = !dialogue.isEmpty() && dialogue.get(0).getRole() == Role.SYSTEM ? 1 : 0;
    if (dialogue.size() == first) {
      throw new InvalidRecordException(INVALID, "dialogue has no user turn");
    }
    for (int i = 0; i < dialogue.size(); i++) {
      Turn turn = dialogue.get(i);
      present("dialogue[" + i + "].content", turn.getContent());
      Role expected = (i - first) % 2 == 0 ? Role.USER : Role.ASSISTANT;
      if (i >= first && turn.getRole() != expected) {
        throw new InvalidRecordException(
            INVALID,
            "dialogue[%d] is %s's, where %s's is due".formatted(i, turn.getRole(), expected));
      }
    }
    Role end = dialogue.get(dialogue.size() - 1).getRole();
    if (end != last) {
      throw new InvalidRecordException(
          INVALID, "dialogue ends with %s's turn, not %s's".formatted(end, last));
    }
  }
}
