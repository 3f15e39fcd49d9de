package io.millrace.jobs.ppo;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.tokenizer.TextTooLongException;
import io.millrace.schemas.FinishReason;
import java.util.Arrays;
import java.util.List;

/**
 * How many responses have other tokens once their text is tokenized again. PPO learns from the
 * sampled tokens; reward models learn from texts, and may never have seen these tokens.
 */
final class Retokenized {

  private Retokenized() {}

  /** The share of such responses, 0 to 1. */
  static double share(ChatTemplate template, List<ScoredRollout> batch) {
    return batch.stream()
        .mapToInt(rollout -> differs(template, rollout) ? 1 : 0)
        .average()
        .orElse(0);
  }

  private static boolean differs(ChatTemplate template, ScoredRollout scored) {
    int[] sampled = ScoredRollout.ints(scored.rollout().getResponseTokens());
    int[] again;
    try {
      again = template.responseTokens(scored.rollout().getResponseText());
    } catch (TextTooLongException _) {
      return true;
    }
    // The end token may be one of several; a truncated response has none.
    boolean ended = scored.rollout().getFinishReason() != FinishReason.LENGTH;
    return !Arrays.equals(sampled, 0, sampled.length - (ended ? 1 : 0), again, 0, again.length - 1);
  }
}
