package io.millrace.jobs.operator;

import io.millrace.model.rlhf.Margin;
import io.millrace.model.tokenizer.ChatTemplate;
import io.millrace.model.train.RewardModelTrainer;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;
import java.util.Arrays;

/** Judgments in a model's tokens. */
final class JudgmentTokens {

  private final ChatTemplate template;

  JudgmentTokens(ChatTemplate template) {
    this.template = template;
  }

  RewardModelTrainer.Pair pair(Judgment judgment, Margin margin) {
    int[] prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue()));
    boolean a = judgment.getPreferred() == Preferred.A;
    JudgedResponse preferred = a ? judgment.getResponseA() : judgment.getResponseB();
    JudgedResponse rejected = a ? judgment.getResponseB() : judgment.getResponseA();
    return new RewardModelTrainer.Pair(
        join(prompt, template.responseTokens(preferred.getText())),
        join(prompt, template.responseTokens(rejected.getText())),
        margin.of(judgment.getRating().ordinal()),
        preferred.getUnsafe(),
        rejected.getUnsafe());
  }

  /** Tokens of the longer of the two dialogues. */
  int length(Judgment judgment) {
    int prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue())).length;
    return prompt
        + Math.max(
            template.responseTokens(judgment.getResponseA().getText()).length,
            template.responseTokens(judgment.getResponseB().getText()).length);
  }

  private static int[] join(int[] prompt, int[] response) {
    int[] joined = Arrays.copyOf(prompt, prompt.length + response.length);
    System.arraycopy(response, 0, joined, prompt.length, response.length);
    return joined;
  }
}
