package io.millrace.model.tokenizer;

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
    Marks marks, boolean strips, boolean bos, Optional<String> defaultSystem, String systemPrefix)
    implements ChatForm {

  /** The two sets of marks in use. */
  enum Marks {
    /** {@code <|im_start|>user\nhi<|im_end|>\n}, OpenAI's Chat Markup Language. */
    CHATML("ChatML", "<|im_start|>", "", "\n", "<|im_end|>", "\n"),

    /**
     * {@code <|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>}, as in Meta's release of
     * Llama 3 (arXiv 2407.21783).
     */
    LLAMA3("Llama 3", "<|start_header_id|>", "<|end_header_id|>", "\n\n", "<|eot_id|>", "");

    final String title;

    /** The token before the role's name. */
    final String open;

    /** The token after the role's name, or nothing. */
    final String endOfRole;

    /** Text between header and content. */
    final String gap;

    /** The token that ends a turn. */
    final String end;

    /** Text between two turns. */
    final String between;

    Marks(String title, String open, String endOfRole, String gap, String end, String between) {
      this.title = title;
      this.open = open;
      this.endOfRole = endOfRole;
      this.gap = gap;
      this.end = end;
      this.between = between;
    }

    String header(Role role) {
      return open + name(role) + endOfRole + gap;
    }

    String turn(Role role, String content) {
      return header(role) + content + end + between;
    }

    static String name(Role role) {
      return role.name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * The form with the given marks that agrees with a template on the two simplest dialogues, where
   * what it puts before them can be seen.
   *
   * @param first what the template makes of {@link Probes#FIRST}
   */
  static Optional<TurnForm> like(
      JinjaTemplate template, String first, Marks marks, boolean strips) {
    String turn = marks.turn(Role.USER, "hi") + marks.header(Role.ASSISTANT);
    String system = marks.header(Role.SYSTEM);
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

  private static boolean holdsMarks(String prefix, Optional<String> defaultSystem, Marks marks) {
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
    return marks.header(Role.ASSISTANT);
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
    systemText(dialogue).ifPresent(said -> text.append(marks.turn(Role.SYSTEM, said)));
    for (Message message : dialogue.subList(Dialogue.first(dialogue), dialogue.size())) {
      text.append(marks.turn(message.role(), content(message.content())));
    }
    if (dialogue.getLast().role() == Role.USER) {
      text.append(marks.header(Role.ASSISTANT));
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
}
