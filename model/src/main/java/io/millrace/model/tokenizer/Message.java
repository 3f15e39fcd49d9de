package io.millrace.model.tokenizer;

import java.util.List;
import java.util.Objects;

/** One turn of a dialogue. */
public record Message(Role role, String content) {

  /** Who speaks. */
  public enum Role {
    SYSTEM,
    USER,
    ASSISTANT
  }

  public Message {
    Objects.requireNonNull(role, "role");
    Objects.requireNonNull(content, "content");
  }

  public static Message system(String content) {
    return new Message(Role.SYSTEM, content);
  }

  public static Message user(String content) {
    return new Message(Role.USER, content);
  }

  public static Message assistant(String content) {
    return new Message(Role.ASSISTANT, content);
  }

  /**
   * Checks that a dialogue is, after an optional system turn, user and assistant in turns, and ends
   * with the given role.
   *
   * @throws IllegalArgumentException with the turn and its role
   */
  static void requireDialogue(List<Message> dialogue, Role last) {
    int first = !dialogue.isEmpty() && dialogue.get(0).role() == Role.SYSTEM ? 1 : 0;
    for (int i = first; i < dialogue.size(); i++) {
      Role expected = (i - first) % 2 == 0 ? Role.USER : Role.ASSISTANT;
      if (dialogue.get(i).role() != expected) {
        throw new IllegalArgumentException(
            "turn %d of the dialogue is %s's, where %s's is due"
                .formatted(i, dialogue.get(i).role(), expected));
      }
    }
    if (dialogue.size() == first || dialogue.get(dialogue.size() - 1).role() != last) {
      throw new IllegalArgumentException(
          "a dialogue of %d turns that ends with %s; %s is to have the last turn"
              .formatted(
                  dialogue.size(),
                  dialogue.isEmpty() ? "nobody" : dialogue.get(dialogue.size() - 1).role(),
                  last));
    }
  }
}
