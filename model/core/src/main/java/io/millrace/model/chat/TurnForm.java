package io.millrace.model.chat;

import io.millrace.model.tokenizer.Texts;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TurnMarks;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The form of ChatML and of Llama 3: every turn, the system's too, begins with a header that names
 * who speaks.
 *
 * @param marks the tokens that the turns are set in
 * @param strips whether contents lose white space at both ends
 * @param bos whether a dialogue begins with the bos token
 * @param defaultSystem the system turn of a dialogue that has none of its own, if there is one
 * @param systemPrefix what stands before the system's own words, such as Llama 3.1's dates
 */
record TurnForm(
    TurnMarks marks,
    boolean strips,
    boolean bos,
    Optional<String> defaultSystem,
    String systemPrefix)
    implements ChatForm {

  /**
   * The form with the given marks that agrees with a template on the two simplest dialogues, where
   * what it puts before them can be seen.
   *
   * @param first what the template makes of {@link Probes#FIRST}
   */
  static Optional<TurnForm> like(
      JinjaTemplate template, String first, TurnMarks marks, boolean strips) {
    String turn = marks.turn(name(Role.USER), "hi") + marks.header(name(Role.ASSISTANT));
    String system = marks.header(name(Role.SYSTEM));
    String systemEnd = marks.end + marks.between;
    boolean bos = first.startsWith(JinjaTemplate.BOS);
    String start = bos ? JinjaTemplate.BOS : "";
    Optional<String> before = between(first, start, turn);
    if (before.isEmpty()) {
      return Optional.empty();
    }
    Optional<String> defaultSystem = Optional.empty();
    if (!before.get().isEmpty()) {
      defaultSystem = between(before.get(), system, systemEnd);
      if (defaultSystem.isEmpty()) {
        return Optional.empty();
      }
    }
    String withSystem;
    try {
      withSystem = template.render(Probes.WITH_SYSTEM, true);
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
    String own = Probes.WITH_SYSTEM.getFirst().content();
    Optional<String> prefix = between(withSystem, start + system, own + systemEnd + turn);
    boolean bosAsContent = withSystem.contains(JinjaTemplate.BOS) != bos;
    return prefix.isEmpty() || bosAsContent || holdsMarks(prefix.get(), defaultSystem, marks)
        ? Optional.empty()
        : Optional.of(new TurnForm(marks, strips, bos, defaultSystem, prefix.get()));
  }

  private static boolean holdsMarks(
      String prefix, Optional<String> defaultSystem, TurnMarks marks) {
    String all = prefix + defaultSystem.orElse("");
    return all.contains(marks.open)
        || all.contains(marks.end)
        || all.contains(JinjaTemplate.BOS)
        || all.contains(JinjaTemplate.EOS);
  }

  private static Optional<String> between(String text, String start, String end) {
    return text.length() >= start.length() + end.length()
            && text.startsWith(start)
            && text.endsWith(end)
        ? Optional.of(text.substring(start.length(), text.length() - end.length()))
        : Optional.empty();
  }

  @Override
  public String answerHeader() {
    return marks.header(name(Role.ASSISTANT));
  }

  @Override
  public String title() {
    return marks.title;
  }

  @Override
  public ChatTemplate with(Tokenizer tokenizer) {
    return new TurnChat(tokenizer, this);
  }

  @Override
  public String text(List<Message> dialogue) {
    StringBuilder text = new StringBuilder(bos ? JinjaTemplate.BOS : "");
    systemText(dialogue).ifPresent(said -> text.append(marks.turn(name(Role.SYSTEM), said)));
    for (Message message : dialogue.subList(Dialogue.first(dialogue), dialogue.size())) {
      text.append(marks.turn(name(message.role()), content(message.content())));
    }
    if (dialogue.getLast().role() == Role.USER) {
      text.append(marks.header(name(Role.ASSISTANT)));
    }
    return text.toString();
  }

  /** What stands in the system turn, if a dialogue has or gets one. */
  Optional<String> systemText(List<Message> dialogue) {
    return Dialogue.first(dialogue) == 1
        ? Optional.of(systemPrefix + content(dialogue.getFirst().content()))
        : defaultSystem;
  }

  String content(String said) {
    return strips ? Texts.pythonStrip(said) : said;
  }

  /** A role as it stands in a header. */
  static String name(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }
}
