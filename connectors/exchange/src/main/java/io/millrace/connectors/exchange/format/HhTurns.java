package io.millrace.connectors.exchange.format;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Parses the turns of an HH-RLHF dialogue. */
final class HhTurns {
  /** A speaker follows an empty line or the start. Elsewhere the words are quotations. */
  private static final Pattern SPEAKER = Pattern.compile("(?:\\A\\s*|\\n\\n)(Human|Assistant):");

  private HhTurns() {}

  /** Whether a text starts with a speaker. */
  static boolean isDialogue(String text) {
    return SPEAKER.matcher(text).lookingAt();
  }

  /**
   * The turns of a dialogue, with stripped contents. Consecutive turns of one speaker are joined by
   * an empty line. Empty turns are dropped, except the last turn: it is the response.
   *
   * @return the turns; none when the text does not start with a speaker
   */
  static List<Turn> parse(String text) {
    List<Turn> turns = new ArrayList<>();
    Matcher matcher = SPEAKER.matcher(text);
    if (!matcher.lookingAt()) {
      return turns;
    }
    matcher.reset();
    boolean more = matcher.find();
    while (more) {
      Role role = matcher.group(1).equals("Human") ? Role.USER : Role.ASSISTANT;
      int start = matcher.end();
      more = matcher.find();
      int end = more ? matcher.start() : text.length();
      add(turns, role, text.substring(start, end).strip(), !more);
    }
    return turns;
  }

  private static void add(List<Turn> turns, Role role, String content, boolean last) {
    Turn before = turns.isEmpty() ? null : turns.getLast();
    if (before != null && before.getRole() == role) {
      if (!content.isEmpty()) {
        turns.set(turns.size() - 1, new Turn(role, before.getContent() + "\n\n" + content));
      }
    } else if (last || !content.isEmpty()) {
      turns.add(new Turn(role, content));
    }
  }
}
