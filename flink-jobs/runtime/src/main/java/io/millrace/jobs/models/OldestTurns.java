package io.millrace.jobs.models;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;

/** Drops the oldest turns of a dialogue, as a chat application does. The system turn stays. */
public final class OldestTurns {

  private OldestTurns() {}

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
