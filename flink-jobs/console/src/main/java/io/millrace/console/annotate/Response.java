package io.millrace.console.annotate;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;

/** A response that can be judged: a rollout without its tokens. */
record Response(
    String rolloutId,
    List<Turn> dialogue,
    boolean isSafety,
    String text,
    long version,
    boolean truncated,
    Instant time) {

  static Response of(Rollout rollout) {
    return new Response(
        rollout.getRolloutId(),
        rollout.getDialogue(),
        rollout.getIsSafety(),
        rollout.getResponseText(),
        rollout.getPolicyVersion(),
        rollout.getFinishReason() == FinishReason.LENGTH,
        rollout.getTime());
  }

  JudgedResponse judged(Boolean unsafe) {
    return new JudgedResponse(text, rolloutId, version, unsafe, truncated);
  }
}
