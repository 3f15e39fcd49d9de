package io.millrace.model.chat;

/** What happens to the text of a user or system turn that contains marks of turns. */
public enum MarksInText {
  /**
   * A mark that is ordinary text, such as {@code [INST]} of Llama 2-Chat, gets a space after its
   * first character. A mark that is a token needs no change: text never becomes that token.
   */
  NEUTRALIZE,

  /** The dialogue is refused with a {@link ForgedTurnException}. */
  REFUSE
}
