package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.Judgment;
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
    return List.of(
        TextHash.ofPrompt(judgment),
        TextHash.of(List.of(judgment.getResponseA().getText())),
        TextHash.of(List.of(judgment.getResponseB().getText())));
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
