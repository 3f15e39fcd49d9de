package io.millrace.model.chat;

import io.millrace.model.tokenizer.Texts;
import io.millrace.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The layout of {@link Llama2Chat}.
 *
 * @param strips whether white space at both ends of a turn's content is removed: true for the
 *     checkpoints that Meta published, false for those trained here
 */
public record Llama2Form(boolean strips) implements ChatForm {

  /**
   * The Jinja template of tokenizers that are trained here; transformers and llama.cpp can run it.
   */
  public static final String SOURCE =
      "{% set first = 1 if messages[0]['role'] == 'system' else 0 %}"
          + "{% for message in messages[first:] %}"
          + "{% if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') %}"
          + "{{ raise_exception('turn ' + (loop.index0 + first) | string + ' is by '"
          + " + message['role'] + '; after an optional system turn, user and assistant alternate')"
          + " }}"
          + "{% endif %}"
          + "{% if message['role'] == 'user' %}"
          + "{{ bos_token + '[INST] ' }}"
          + "{% if first and loop.first %}"
          + "{{ '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' }}"
          + "{% endif %}"
          + "{{ message['content'] + ' [/INST]' }}"
          + "{% else %}"
          + "{{ ' ' + message['content'] + ' ' + eos_token }}"
          + "{% endif %}"
          + "{% endfor %}";

  private static final List<String> MARKS = List.of("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>");

  private static final Pattern MARK =
      Pattern.compile(MARKS.stream().map(Pattern::quote).collect(Collectors.joining("|")));

  @Override
  public String assistantHeader() {
    return "";
  }

  @Override
  public List<String> markTexts() {
    return MARKS;
  }

  /** The marks are ordinary text: {@code [INST]} becomes {@code [ INST]}. */
  @Override
  public String neutralized(String text) {
    return MARKS.stream().anyMatch(text::contains)
        ? MARK.matcher(text)
            .replaceAll(mark -> mark.group().charAt(0) + " " + mark.group().substring(1))
        : text;
  }

  @Override
  public String title() {
    return "Llama 2-Chat";
  }

  @Override
  public ChatTemplate with(Tokenizer tokenizer, MarksInText marksInText) {
    return new Llama2Chat(tokenizer, this, marksInText);
  }

  @Override
  public String text(List<Message> dialogue) {
    StringBuilder text = new StringBuilder();
    for (int turn = Dialogue.first(dialogue); turn < dialogue.size(); turn++) {
      if (dialogue.get(turn).role() == Role.USER) {
        text.append(JinjaTemplate.BOS).append(userText(dialogue, turn));
      } else {
        text.append(assistantText(dialogue.get(turn).content())).append(JinjaTemplate.EOS);
      }
    }
    return text.toString();
  }

  /**
   * The text of a user turn without the bos token before it. The first user turn includes the
   * system turn.
   */
  String userText(List<Message> dialogue, int turn) {
    String content = dialogue.get(turn).content();
    if (turn == 1 && Dialogue.first(dialogue) == 1) {
      content = "<<SYS>>\n" + dialogue.getFirst().content() + "\n<</SYS>>\n\n" + content;
    }
    return "[INST] " + content(content) + " [/INST]";
  }

  /** The text of an assistant turn without the eos token after it. */
  String assistantText(String content) {
    return " " + content(content) + " ";
  }

  private String content(String content) {
    return strips ? Texts.pythonStrip(content) : content;
  }
}
