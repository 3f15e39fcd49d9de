package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;

/** Judgments in a model's tokens. */
public final class JudgmentTokens {

  private final ChatTemplate template;

  public JudgmentTokens(ChatTemplate template) {
    this.template = template;
  }

  static JudgedResponse preferred(Judgment judgment) {
    return judgment.getPreferred() == Preferred.A
        ? judgment.getResponseA()
        : judgment.getResponseB();
  }

  static JudgedResponse rejected(Judgment judgment) {
    return judgment.getPreferred() == Preferred.A
        ? judgment.getResponseB()
        : judgment.getResponseA();
  }

  /**
   * A judgment as a reward model learns from it.
   *
   * @param labels whether the responses' safety labels are learned too: the safety reward model's
   *     alone (Llama 2, appendix A.3.3)
   */
  public RewardModelTrainer.Pair pair(Judgment judgment, Margin margin, boolean labels) {
    int[] prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue()));
    JudgedResponse preferred = preferred(judgment);
    JudgedResponse rejected = rejected(judgment);
    return new RewardModelTrainer.Pair(
        TokenArrays.join(prompt, template.responseTokens(preferred.getText())),
        TokenArrays.join(prompt, template.responseTokens(rejected.getText())),
        margin.of(judgment.getRating().ordinal()),
        labels ? preferred.getUnsafe() : null,
        labels ? rejected.getUnsafe() : null);
  }

  /** Tokens of the longer of the two dialogues. */
  public int length(Judgment judgment) {
    int prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue())).length;
    return prompt
        + Math.max(
            template.responseTokens(judgment.getResponseA().getText()).length,
            template.responseTokens(judgment.getResponseB().getText()).length);
  }
}
