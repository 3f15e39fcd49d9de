package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class JudgmentTokensTest {

  @Test
  void aTruncatedResponseHasNoEndToken() {
    try (Tokenizer tokenizer = ByteLevelBpeTrainer.train(List.of("x"), 260).tokenizer()) {
      ChatTemplate template = ChatTemplate.of(tokenizer);
      Judgment whole = TestJudgments.of("Rome", Objective.HELPFULNESS, "own");
      Judgment cut =
          Judgment.newBuilder(whole)
              .setResponseA(
                  JudgedResponse.newBuilder(whole.getResponseA()).setTruncated(true).build())
              .build();
      JudgmentTokens tokens = new JudgmentTokens(template);
      int[] prompt = template.promptTokens(Dialogues.messages(whole.getDialogue()));
      int[] a = template.responseTokens(whole.getResponseA().getText());
      int[] b = template.responseTokens(whole.getResponseB().getText());
      Pair pair = tokens.pair(cut, Margin.NONE, false);
      boolean prefersA = JudgmentTokens.preferred(cut).equals(cut.getResponseA());
      assertArrayEquals(
          TokenArrays.join(prompt, Arrays.copyOf(a, a.length - 1)),
          prefersA ? pair.preferred() : pair.rejected());
      assertArrayEquals(TokenArrays.join(prompt, b), prefersA ? pair.rejected() : pair.preferred());
      assertEquals(prompt.length + Math.max(a.length - 1, b.length), tokens.length(cut));
    }
  }
}
