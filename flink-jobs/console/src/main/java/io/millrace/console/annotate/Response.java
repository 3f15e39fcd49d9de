package io.millrace.console.annotate;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;

/**
 * A response that can be judged: a rollout without its tokens, or one of a gold task.
 *
 * @param rolloutId name in assignments
 * @param judged the response without a safety label
 */
record Response(
    String rolloutId, List<Turn> dialogue, boolean isSafety, JudgedResponse judged, Instant time) {

  static Response of(Rollout rollout) {
    return new Response(
        rollout.getRolloutId(),
        rollout.getDialogue(),
        rollout.getIsSafety(),
        new JudgedResponse(
            rollout.getResponseText(),
            rollout.getRolloutId(),
            rollout.getPolicyVersion(),
            null,
            rollout.getFinishReason() == FinishReason.LENGTH),
        rollout.getTime());
  }

  long version() {
    Long version = judged.getPolicyVersion();
    return version == null ? 0 : version;
  }

  String text() {
    return judged.getText();
  }

  /** The response in a judgment, with a safety label. */
  JudgedResponse judged(Boolean unsafe) {
    return JudgedResponse.newBuilder(judged).setUnsafe(unsafe).build();
  }
}
