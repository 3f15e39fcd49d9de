package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.Judgment;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;

/** The first 64 bits of the SHA-256 of texts, which stand for the texts in a state. */
final class TextHash {

  private TextHash() {}

  static long ofPrompt(Judgment judgment) {
    List<String> prompt = new ArrayList<>();
    for (Turn turn : judgment.getDialogue()) {
      prompt.add(turn.getRole().name());
      prompt.add(turn.getContent());
    }
    return of(prompt);
  }

  /** Lengths stand before the texts, so that no two lists give the same bytes. */
  static long of(List<String> texts) {
    MessageDigest digest = Sha256.newDigest();
    for (String text : texts) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
      digest.update(bytes);
    }
    return ByteBuffer.wrap(digest.digest()).getLong();
  }
}
