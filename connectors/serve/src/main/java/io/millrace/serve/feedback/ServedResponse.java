package io.millrace.serve.feedback;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Turn;
import java.util.List;

/**
 * A response that was served, for feedback on it.
 *
 * @param id of the response: that of its completion, a slash and its index
 * @param dialogue turns of the prompt
 * @param text the response
 * @param version policy version; 0 for a checkpoint of other origin
 * @param truncated whether it ended without the token that ends a response
 */
record ServedResponse(
    String id, List<Turn> dialogue, String text, long version, boolean truncated) {

  /**
   * As part of a record.
   *
   * @param unsafe safety label, or null
   */
  JudgedResponse judged(Boolean unsafe) {
    return JudgedResponse.newBuilder()
        .setText(text)
        .setRolloutId(id)
        .setPolicyVersion(version)
        .setUnsafe(unsafe)
        .setTruncated(truncated)
        .build();
  }
}
