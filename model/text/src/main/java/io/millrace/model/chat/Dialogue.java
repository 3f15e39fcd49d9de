package io.millrace.model.chat;

import java.util.List;

/**
 * Checks the shape of a dialogue: an optional system turn, then user and assistant turns in
 * alternation.
 */
final class Dialogue {
  private Dialogue() {}

  /**
   * Checks that a dialogue is a prompt: well formed, with a user turn at the end.
   *
   * @throws IllegalArgumentException naming the index and role of the wrong turn
   */
  static void requirePrompt(List<Message> dialogue) {
    requireAlternation(dialogue);
    requireLast(dialogue, Role.USER, "a prompt must end with a user turn");
  }

  /**
   * Checks that a dialogue is a demonstration: well formed, with an assistant turn at the end.
   *
   * @throws IllegalArgumentException naming the index and role of the wrong turn
   */
  static void requireDemonstration(List<Message> dialogue) {
    requireAlternation(dialogue);
    requireLast(dialogue, Role.ASSISTANT, "a demonstration must end with an assistant turn");
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
            ("turn %d of the dialogue is by %s but must be by %s:"
                    + " after an optional SYSTEM turn 0, USER and ASSISTANT turns alternate")
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

  /** Index of the first user turn: 1 after a system turn, else 0. */
  static int first(List<Message> dialogue) {
    return dialogue.getFirst().role() == Role.SYSTEM ? 1 : 0;
  }
}
