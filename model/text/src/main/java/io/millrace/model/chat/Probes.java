package io.millrace.model.chat;

import java.util.List;
import java.util.Optional;

/**
 * The dialogues that distinguish chat templates: templates that differ render at least one of them
 * differently.
 */
final class Probes {
  static final List<Message> FIRST = List.of(Message.user("hi"));

  static final List<Message> WITH_SYSTEM = List.of(Message.system("Be nice."), Message.user("hi"));

  /** Contents that some templates treat specially: white space, reasoning tags, their own marks. */
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
   * The first difference between a template and a form.
   *
   * @param agreed number of dialogues before it, on which both agree
   * @param reason the difference, in one line
   */
  record Difference(int agreed, String reason) {}

  private Probes() {}

  /** The first difference between a template and a form; empty if they agree on all dialogues. */
  static Optional<Difference> firstDifference(JinjaTemplate template, ChatForm form) {
    int agreed = 0;
    for (String content : CONTENTS) {
      Message system = Message.system(content);
      Message user = Message.user(content);
      Message assistant = Message.assistant(content);
      for (List<Message> dialogue :
          List.of(
              List.of(user),
              List.of(system, user),
              List.of(user, assistant),
              List.of(system, user, assistant, user),
              List.of(user, assistant, user, assistant, user, assistant))) {
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
    // After the last assistant turn some templates omit the line break, and some add the header of
    // another response without being asked. No token of an example stands for either.
    boolean same =
        rendered.equals(expected)
            || (!prompt && expected.endsWith("\n") && expected.equals(rendered + "\n"))
            || (!prompt && rendered.equals(expected + form.assistantHeader()));
    return same
        ? Optional.empty()
        : Optional.of(
            ("it resembles that of %s, but renders turns of %s with the content \"%s\" as \"%s\","
                    + " not \"%s\"")
                .formatted(
                    form.title(),
                    dialogue.stream().map(turn -> turn.role().name()).toList(),
                    shown(dialogue.getLast().content()),
                    shown(rendered),
                    shown(expected)));
  }

  /** Rendered text for an error message, in one line and shortened. */
  static String shown(String text) {
    String plain =
        text.replace(JinjaTemplate.BOS, "<bos>")
            .replace(JinjaTemplate.EOS, "<eos>")
            .replace("\\", "\\\\")
            .replace("\n", "\\n");
    return plain.length() <= 200 ? plain : plain.substring(0, 200) + "…";
  }
}
