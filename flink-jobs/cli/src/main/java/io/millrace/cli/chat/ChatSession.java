package io.millrace.cli.chat;

import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.schemas.Printable;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads user turns and commands, and prints responses while they are sampled. */
final class ChatSession {

  private static final String HELP =
      """
      /system TEXT   sets the system turn and begins anew; without TEXT removes it
      /reset         begins anew
      /undo          takes back the last exchange
      /again         samples the last response once more
      /keep 1|2      with two versions: both go on from the response of that one
      /help          prints this list
      /quit          ends the chat
      //TEXT         a turn that begins with /
      TEXT\\          a backslash at the end of a line joins it with the next line
      """;

  /** Characters of a turn; longer input is refused before it is kept. */
  private static final int MOST_CHARACTERS = 1 << 20;

  private final List<Speaker> speakers;
  private final BufferedReader in;
  private final PrintWriter out;
  private final boolean terminal;
  private final int width;
  private Optional<String> system;

  /**
   * @param speakers one or two
   * @param out the terminal itself: all foreign text is escaped here
   * @param terminal whether a person reads along: prints a mark where a turn is expected, and lines
   *     while they grow
   * @param width characters of a line with two speakers
   */
  ChatSession(
      List<Speaker> speakers,
      Optional<String> system,
      BufferedReader in,
      PrintWriter out,
      boolean terminal,
      int width) {
    this.speakers = speakers;
    this.system = system.filter(text -> !text.isBlank());
    this.in = in;
    this.out = out;
    this.terminal = terminal;
    this.width = width;
  }

  void run() throws IOException {
    try {
      converse();
    } finally {
      out.flush();
    }
  }

  private void converse() throws IOException {
    if (terminal) {
      for (int i = 0; i < speakers.size(); i++) {
        out.printf("%d: %s%n", i + 1, Printable.line(speakers.get(i).title()));
      }
      out.println("/help lists the commands, /quit ends the chat");
    }
    reset();
    for (Optional<String> turn = read(); turn.isPresent(); turn = read()) {
      String text = turn.get();
      if (text.isBlank()) {
        continue;
      }
      if (!text.startsWith("/")) {
        say(text);
      } else if (text.startsWith("//")) {
        say(text.substring(1));
      } else if (text.strip().equals("/quit")) {
        return;
      } else {
        command(text.strip());
      }
    }
  }

  /** The next turn; empty at the end of the input. */
  private Optional<String> read() throws IOException {
    StringBuilder turn = new StringBuilder();
    while (true) {
      if (terminal) {
        out.print(turn.isEmpty() ? "> " : "… ");
        out.flush();
      }
      String line = readLine();
      if (line == null) {
        return turn.isEmpty() ? Optional.empty() : Optional.of(turn.toString());
      }
      if (turn.length() + line.length() > MOST_CHARACTERS) {
        throw new IOException(
            "a turn must have at most %d characters; shorten it".formatted(MOST_CHARACTERS));
      }
      if (!line.endsWith("\\")) {
        return Optional.of(turn.append(line).toString());
      }
      turn.append(line, 0, line.length() - 1).append('\n');
    }
  }

  /** A line of bounded length; null at the end of the input. */
  private String readLine() throws IOException {
    StringBuilder line = new StringBuilder();
    int c = in.read();
    if (c < 0) {
      return null;
    }
    for (; c >= 0 && c != '\n'; c = in.read()) {
      if (line.length() == MOST_CHARACTERS) {
        throw new IOException(
            "a line must have at most %d characters; shorten it".formatted(MOST_CHARACTERS));
      }
      line.append((char) c);
    }
    int end = line.length();
    return end > 0 && line.charAt(end - 1) == '\r' ? line.substring(0, end - 1) : line.toString();
  }

  private void command(String line) {
    String[] words = line.split("\\s+", 2);
    String argument = words.length == 2 ? words[1] : "";
    switch (words[0]) {
      case "/system" -> {
        system = Optional.of(argument).filter(text -> !text.isBlank());
        reset();
        note(system.isPresent() ? "a new dialogue with a system turn" : "a new dialogue");
      }
      case "/reset" -> {
        reset();
        note("a new dialogue");
      }
      case "/undo" -> undo();
      case "/again" -> again();
      case "/keep" -> keep(argument);
      case "/help" -> {
        out.print(HELP);
        out.flush();
      }
      default -> note("there is no command " + words[0] + "; /help lists the commands");
    }
  }

  private void reset() {
    List<Message> start = system.stream().map(Message::system).toList();
    speakers.forEach(speaker -> speaker.setDialogue(start));
  }

  private void undo() {
    boolean removed = false;
    for (Speaker speaker : speakers) {
      List<Message> turns = new ArrayList<>(speaker.dialogue());
      if (speaker.removeResponse().isPresent()) {
        turns.removeLast();
        turns.removeLast();
        speaker.setDialogue(turns);
        removed = true;
      }
    }
    note(removed ? "took back the last exchange" : "there is no exchange to take back");
  }

  private void again() {
    boolean removed = false;
    for (Speaker speaker : speakers) {
      removed |= speaker.removeResponse().isPresent();
    }
    if (removed) {
      respond();
    } else {
      note("there is no response to sample again");
    }
  }

  private void keep(String which) {
    if (speakers.size() == 1) {
      note("/keep needs two versions; give --checkpoint twice");
      return;
    }
    if (!which.equals("1") && !which.equals("2")) {
      note("/keep must be followed by 1 or 2");
      return;
    }
    Speaker kept = speakers.get(which.equals("1") ? 0 : 1);
    if (kept.dialogue().isEmpty() || kept.dialogue().getLast().role() != Role.ASSISTANT) {
      note("there is no response to keep");
      return;
    }
    speakers.forEach(speaker -> speaker.setDialogue(kept.dialogue()));
    note("both go on from " + kept.title());
  }

  private void say(String text) {
    speakers.forEach(speaker -> speaker.add(Message.user(text)));
    respond();
  }

  private void respond() {
    List<List<Message>> before = new ArrayList<>();
    speakers.forEach(speaker -> before.add(speaker.dialogue()));
    try {
      for (Speaker speaker : speakers) {
        int left = speaker.begin();
        if (left > 0) {
          note(
              "%s does not see the first %d turns: they exceed its context"
                  .formatted(speaker.title(), left));
        }
      }
    } catch (IllegalArgumentException e) {
      for (int i = 0; i < speakers.size(); i++) {
        finish(speakers.get(i));
        List<Message> turns = before.get(i);
        speakers.get(i).setDialogue(turns.subList(0, turns.size() - 1));
      }
      note(e.getMessage());
      return;
    }
    if (speakers.size() == 1) {
      alone(speakers.getFirst());
    } else {
      sideBySide(speakers.getFirst(), speakers.getLast());
    }
  }

  private static void finish(Speaker speaker) {
    while (speaker.isSpeaking()) {
      String _ = speaker.next();
    }
  }

  private void alone(Speaker speaker) {
    while (speaker.isSpeaking()) {
      out.print(Printable.text(speaker.next()));
      out.flush();
    }
    out.println();
  }

  private void sideBySide(Speaker left, Speaker right) {
    Columns columns = new Columns(out, width, terminal);
    columns.header(left.title(), right.title());
    while (left.isSpeaking() || right.isSpeaking()) {
      for (int side = 0; side < 2; side++) {
        Speaker speaker = side == 0 ? left : right;
        if (speaker.isSpeaking()) {
          columns.add(side, Printable.text(speaker.next()));
          if (!speaker.isSpeaking()) {
            columns.end(side);
          }
        }
      }
      columns.print();
    }
  }

  private void note(String text) {
    out.println("(" + Printable.line(text) + ")");
  }
}
