package io.millrace.model.tokenizer;

import java.util.List;

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

  private Probes() {}

  static boolean agree(JinjaTemplate template, ChatForm form) {
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
        if (!agree(template, form, dialogue)) {
          return false;
        }
      }
    }
    return true;
  }

  private static boolean agree(JinjaTemplate template, ChatForm form, List<Message> dialogue) {
    boolean prompt = dialogue.getLast().role() == Role.USER;
    String rendered;
    try {
      rendered = template.render(dialogue, prompt);
    } catch (IllegalArgumentException e) {
      return false;
    }
    String expected = form.text(dialogue);
    // Some leave out the line's end after the last answer, which no token of ours stands for.
    return rendered.equals(expected)
        || (!prompt && expected.endsWith("\n") && expected.equals(rendered + "\n"));
  }
}
