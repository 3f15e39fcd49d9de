package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.Judgment;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The prompts and responses that a reward model learned from most recently, as the first 64 bits of
 * their SHA-256. A judgment with one of them is no test of what the model knows about others.
 */
final class SeenTexts {

  /** Texts that are remembered; the oldest is forgotten first. */
  private static final int REMEMBERED = 65_536;

  private final Set<Long> hashes = new LinkedHashSet<>();

  /** Whether the prompt or a response was learned from before. */
  boolean contains(Judgment judgment) {
    return hashes(judgment).stream().anyMatch(hashes::contains);
  }

  void add(Judgment judgment) {
    hashes.addAll(hashes(judgment));
    while (hashes.size() > REMEMBERED) {
      hashes.remove(hashes.iterator().next());
    }
  }

  private static List<Long> hashes(Judgment judgment) {
    List<String> prompt = new ArrayList<>();
    for (Turn turn : judgment.getDialogue()) {
      prompt.add(turn.getRole().name());
      prompt.add(turn.getContent());
    }
    return List.of(
        hash(prompt),
        hash(List.of(judgment.getResponseA().getText())),
        hash(List.of(judgment.getResponseB().getText())));
  }

  /** Lengths stand before the texts, so that no two lists give the same bytes. */
  private static long hash(List<String> texts) {
    MessageDigest digest = Sha256.newDigest();
    for (String text : texts) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
      digest.update(bytes);
    }
    return ByteBuffer.wrap(digest.digest()).getLong();
  }

  /** The hashes, the oldest first. */
  List<Long> state() {
    return List.copyOf(hashes);
  }

  void restore(List<Long> state) {
    hashes.clear();
    hashes.addAll(state);
  }
}
