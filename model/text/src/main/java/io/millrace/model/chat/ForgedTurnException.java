package io.millrace.model.chat;

/** A dialogue whose user or system text contains a mark of turns, see {@link MarksInText}. */
public final class ForgedTurnException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  ForgedTurnException(int turn, Role role, String mark, String form) {
    super(
        ("turn %d, by %s, contains \"%s\", a mark of turns in the form of %s: remove it, or set"
                + " model.turn-marks to neutralize")
            .formatted(turn, role, mark, form));
  }
}
