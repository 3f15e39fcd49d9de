package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;
import java.util.Arrays;
import java.util.List;

/** Turns judgments into a model's tokens. */
public final class JudgmentTokens {

  private final ChatTemplate template;

  public JudgmentTokens(ChatTemplate template) {
    this.template = template;
  }

  /** The chosen response. */
  public static JudgedResponse preferred(Judgment judgment) {
    return judgment.getPreferred() == Preferred.A
        ? judgment.getResponseA()
        : judgment.getResponseB();
  }

  /** The other response. */
  public static JudgedResponse rejected(Judgment judgment) {
    return judgment.getPreferred() == Preferred.A
        ? judgment.getResponseB()
        : judgment.getResponseA();
  }

  /**
   * A judgment as training data.
   *
   * @param labels whether to learn the responses' safety labels too, as only the safety reward
   *     model does (Llama 2, arXiv 2307.09288, appendix A.3.3)
   */
  public RewardModelTrainer.Pair pair(Judgment judgment, Margin margin, boolean labels) {
    int[] prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue()));
    JudgedResponse preferred = preferred(judgment);
    JudgedResponse rejected = rejected(judgment);
    return new RewardModelTrainer.Pair(
            TokenArrays.join(prompt, of(preferred)),
            TokenArrays.join(prompt, of(rejected)),
            margin.of(judgment.getRating().ordinal()),
            labels ? preferred.getUnsafe() : null,
            labels ? rejected.getUnsafe() : null)
        .withDraw(TextHash.of(List.of(judgment.getJudgmentId())));
  }

  /** Tokens of the prompt and the longer response. */
  public int length(Judgment judgment) {
    int prompt = template.promptTokens(Dialogues.messages(judgment.getDialogue())).length;
    return prompt
        + Math.max(of(judgment.getResponseA()).length, of(judgment.getResponseB()).length);
  }

  /** Tokens of the prompt and the response of a feedback. */
  public int[] of(Feedback feedback) {
    return TokenArrays.join(
        template.promptTokens(Dialogues.messages(feedback.getDialogue())),
        of(feedback.getResponse()));
  }

  /** A response as {@code ppo} shows it to the reward model: a truncated one has no end token. */
  public int[] of(JudgedResponse response) {
    int[] tokens = template.responseTokens(response.getText());
    return Boolean.TRUE.equals(response.getTruncated()) && tokens.length > 1
        ? Arrays.copyOf(tokens, tokens.length - 1)
        : tokens;
  }
}
