package io.millrace.connectors.importer;

import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns of an HH-RLHF dialogue. */
final class HhTurns {
  /**
   * Only after an empty line (or at the start) is it a speaker; elsewhere people quote the words.
   */
  private static final Pattern SPEAKER = Pattern.compile("(?:\\A\\s*|\\n\\n)(Human|Assistant):");

  private HhTurns() {}

  /**
   * The turns, contents stripped, consecutive ones of one speaker joined by an empty line. Empty
   * turns are dropped, except that a last one which is empty stays: it is a response. No turns when
   * the text does not start with a speaker.
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
