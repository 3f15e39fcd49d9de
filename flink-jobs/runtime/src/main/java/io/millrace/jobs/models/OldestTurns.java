package io.millrace.jobs.models;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** Drops the oldest turns of a dialogue, as a chat application does. The system turn stays. */
public final class OldestTurns {

  /** Reads the dialogue of a record. */
  public interface DialogueOf<T> extends Serializable {
    List<Turn> of(T record);
  }

  /** Makes a record with another dialogue. */
  public interface WithDialogue<T> extends Serializable {
    T of(T record, List<Turn> dialogue);
  }

  private OldestTurns() {}

  /**
   * Shortens records whose dialogue ends with the user's turn, which stays: responses answer it.
   */
  public static <T> LengthCheck.Shortening<T> ofPrompts(
      DialogueOf<T> dialogue, WithDialogue<T> withDialogue) {
    return new OfPrompts<>(dialogue, withDialogue);
  }

  private record OfPrompts<T>(DialogueOf<T> dialogue, WithDialogue<T> withDialogue)
      implements LengthCheck.Shortening<T> {

    @Override
    public int droppable(T record) {
      return OldestTurns.droppable(dialogue.of(record), 1);
    }

    @Override
    public T without(T record, int pairs) {
      return withDialogue.of(record, OldestTurns.without(dialogue.of(record), pairs));
    }
  }

  /**
   * Pairs of a user and an assistant turn that can be dropped.
   *
   * @param kept turns at the end that stay
   */
  public static int droppable(List<Turn> dialogue, int kept) {
    return Math.max(0, (dialogue.size() - first(dialogue) - kept) / 2);
  }

  /** The dialogue without its oldest pairs. */
  public static List<Turn> without(List<Turn> dialogue, int pairs) {
    List<Turn> rest = new ArrayList<>(dialogue.subList(0, first(dialogue)));
    rest.addAll(dialogue.subList(first(dialogue) + 2 * pairs, dialogue.size()));
    return rest;
  }

  /** Index of the first turn that can be dropped: after a system turn. */
  public static int first(List<Turn> dialogue) {
    return !dialogue.isEmpty() && dialogue.getFirst().getRole() == Role.SYSTEM ? 1 : 0;
  }
}
