package io.millrace.model.chat;

import java.util.List;

/** The shape of a dialogue: an optional system turn, then user and assistant in alternation. */
public final class Dialogue {
  private Dialogue() {}

  /**
   * Checks that the dialogue is a prompt: well formed, and a user turn is its last.
   *
   * @throws IllegalArgumentException if it is not; the message names the turn's index and role
   */
  public static void requirePrompt(List<Message> dialogue) {
    requireAlternation(dialogue);
    requireLast(
        dialogue, Role.USER, "a prompt ends with a user turn, to which the response is due");
  }

  /**
   * Checks that the dialogue is a demonstration: well formed, and an assistant turn is its last.
   *
   * @throws IllegalArgumentException if it is not; the message names the turn's index and role
   */
  public static void requireDemonstration(List<Message> dialogue) {
    requireAlternation(dialogue);
    requireLast(
        dialogue, Role.ASSISTANT, "a demonstration ends with the assistant turn to be imitated");
  }

  private static void requireAlternation(List<Message> dialogue) {
    if (dialogue.isEmpty()) {
      throw new IllegalArgumentException("the dialogue has no turns; give it at least a user turn");
    }
    int first = first(dialogue);
    for (int turn = first; turn < dialogue.size(); turn++) {
      Role expected = (turn - first) % 2 == 0 ? Role.USER : Role.ASSISTANT;
      Role role = dialogue.get(turn).role();
      if (role != expected) {
        throw new IllegalArgumentException(
            "turn %d of the dialogue is by %s, expected %s: after an optional SYSTEM turn 0, USER and ASSISTANT alternate"
                .formatted(turn, role, expected));
      }
    }
  }

  private static void requireLast(List<Message> dialogue, Role expected, String rule) {
    int last = dialogue.size() - 1;
    Role role = dialogue.get(last).role();
    if (role != expected) {
      throw new IllegalArgumentException(
          "turn %d, the last of the dialogue, is by %s: %s".formatted(last, role, rule));
    }
  }

  /** The index of the first user turn: 1 after a system turn, 0 without one. */
  static int first(List<Message> dialogue) {
    return dialogue.getFirst().role() == Role.SYSTEM ? 1 : 0;
  }
}
