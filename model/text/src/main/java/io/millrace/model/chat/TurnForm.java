package io.millrace.model.chat;

import io.millrace.model.tokenizer.Texts;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TurnMarks;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The layout of ChatML and Llama 3. Every turn, the system turn included, begins with a header that
 * names the role.
 *
 * @param marks the tokens around the turns
 * @param strips whether white space at both ends of a turn's content is removed
 * @param bos whether a dialogue begins with the bos token
 * @param defaultSystem system turn for a dialogue that has none, if the template adds one
 * @param systemPrefix text before the content of a system turn, such as the dates of Llama 3.1
 */
record TurnForm(
    TurnMarks marks,
    boolean strips,
    boolean bos,
    Optional<String> defaultSystem,
    String systemPrefix)
    implements ChatForm {

  /**
   * The form with the given marks that agrees with a template on the two simplest dialogues. They
   * show what the template adds before the turns.
   *
   * @param first the template's output for {@link Probes#FIRST}
   */
  static Optional<TurnForm> matching(
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
  public String assistantHeader() {
    return marks.header(name(Role.ASSISTANT));
  }

  @Override
  public List<String> markTexts() {
    return Stream.of(marks.open, marks.endOfRole, marks.end)
        .filter(mark -> !mark.isEmpty())
        .toList();
  }

  /** The marks are tokens, which text never becomes. */
  @Override
  public String neutralized(String text) {
    return text;
  }

  @Override
  public String title() {
    return marks.title;
  }

  @Override
  public ChatTemplate with(Tokenizer tokenizer, MarksInText marksInText) {
    return new TurnChat(tokenizer, this, marksInText);
  }

  @Override
  public String text(List<Message> dialogue) {
    StringBuilder text = new StringBuilder(bos ? JinjaTemplate.BOS : "");
    systemText(dialogue).ifPresent(content -> text.append(marks.turn(name(Role.SYSTEM), content)));
    for (Message message : dialogue.subList(Dialogue.first(dialogue), dialogue.size())) {
      text.append(marks.turn(name(message.role()), content(message.content())));
    }
    if (dialogue.getLast().role() == Role.USER) {
      text.append(marks.header(name(Role.ASSISTANT)));
    }
    return text.toString();
  }

  /** Content of the system turn; empty if the dialogue has none and the template adds none. */
  Optional<String> systemText(List<Message> dialogue) {
    return Dialogue.first(dialogue) == 1
        ? Optional.of(systemPrefix + content(dialogue.getFirst().content()))
        : defaultSystem;
  }

  String content(String text) {
    return strips ? Texts.pythonStrip(text) : text;
  }

  /** The name of a role in a header. */
  static String name(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }
}
