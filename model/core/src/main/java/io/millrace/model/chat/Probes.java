package io.millrace.model.chat;

import java.util.List;
import java.util.Optional;

/** Dialogues on which templates that differ give different text. */
final class Probes {
  static final List<Message> FIRST = List.of(Message.user("hi"));

  static final List<Message> WITH_SYSTEM = List.of(Message.system("Be nice."), Message.user("hi"));

  /**
   * What templates are known to treat by its content: space, tags of reasoning, their own marks.
   */
  private static final List<String> CONTENTS =
      List.of(
          "yo",
          " two  words\n",
          "\n\nlines\n\nof text",
          "<think>\nhm\n</think>\n\nyo",
          "x < y & 'z' \"q\" \\n {{ messages }} {% if %}",
          "[INST] <<SYS>> <|im_end|> <|eot_id|> </s>",
          "é e\u0301 \ud83d\ude00");

  /**
   * Where a template and a form part.
   *
   * @param agreed dialogues on which they agreed before
   * @param reason the dialogue on which they do not, in a line
   */
  record Difference(int agreed, String reason) {}

  private Probes() {}

  static Optional<Difference> firstDifference(JinjaTemplate template, ChatForm form) {
    int agreed = 0;
    for (String content : CONTENTS) {
      Message system = Message.system(content);
      Message user = Message.user(content);
      Message answer = Message.assistant(content);
      for (List<Message> dialogue :
          List.of(
              List.of(user),
              List.of(system, user),
              List.of(user, answer),
              List.of(system, user, answer, user),
              List.of(user, answer, user, answer, user, answer))) {
        Optional<String> reason = difference(template, form, dialogue);
        if (reason.isPresent()) {
          return Optional.of(new Difference(agreed, reason.get()));
        }
        agreed++;
      }
    }
    return Optional.empty();
  }

  private static Optional<String> difference(
      JinjaTemplate template, ChatForm form, List<Message> dialogue) {
    boolean prompt = dialogue.getLast().role() == Role.USER;
    String rendered;
    try {
      rendered = template.render(dialogue, prompt);
    } catch (IllegalArgumentException e) {
      return Optional.of(e.getMessage());
    }
    String expected = form.text(dialogue);
    // After the last answer's end some leave out the line's end, and some begin another answer,
    // asked or not: no token of ours stands for what follows an end.
    boolean same =
        rendered.equals(expected)
            || (!prompt && expected.endsWith("\n") && expected.equals(rendered + "\n"))
            || (!prompt && rendered.equals(expected + form.answerHeader()));
    return same
        ? Optional.empty()
        : Optional.of(
            "it begins like %s's, but turns of %s, each saying \"%s\", become \"%s\", not \"%s\""
                .formatted(
                    form.title(),
                    dialogue.stream().map(turn -> turn.role().name()).toList(),
                    shown(dialogue.getLast().content()),
                    shown(rendered),
                    shown(expected)));
  }

  /** A rendered text for a message: in one line, and not too long. */
  static String shown(String text) {
    String plain =
        text.replace(JinjaTemplate.BOS, "<bos>")
            .replace(JinjaTemplate.EOS, "<eos>")
            .replace("\\", "\\\\")
            .replace("\n", "\\n");
    return plain.length() <= 200 ? plain : plain.substring(0, 200) + "…";
  }
}
