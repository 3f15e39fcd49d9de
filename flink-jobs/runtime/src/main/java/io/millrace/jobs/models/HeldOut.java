package io.millrace.jobs.models;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.CRC32;

/**
 * The dialogues that no job learns from: a share of all, by the text of their first user turn
 * alone. A dialogue that comes again, with another id, in another topic, or with more turns, is
 * held out again.
 *
 * @param share of the dialogues, 0 to 1
 */
public record HeldOut(double share) implements Serializable {

  /** Whether prompts, judgments, demonstrations and rollouts with this dialogue are held out. */
  public boolean contains(List<Turn> dialogue) {
    return isChosen(opening(dialogue), share);
  }

  /** Whether a text belongs to a share of all texts, by its CRC-32 alone. */
  public static boolean isChosen(String text, double share) {
    CRC32 hash = new CRC32();
    hash.update(text.getBytes(StandardCharsets.UTF_8));
    return hash.getValue() < share * (1L << Integer.SIZE);
  }

  private static String opening(List<Turn> dialogue) {
    return dialogue.stream()
        .filter(turn -> turn.getRole() == Role.USER)
        .findFirst()
        .or(() -> dialogue.stream().findFirst())
        .map(turn -> turn.getContent().strip())
        .orElse("");
  }
}
