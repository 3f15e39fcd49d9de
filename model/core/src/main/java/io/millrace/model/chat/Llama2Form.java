package io.millrace.model.chat;

import io.millrace.model.tokenizer.Texts;
import io.millrace.model.tokenizer.Tokenizer;
import java.util.List;

/**
 * Llama 2-Chat's form, see {@link Llama2Chat}.
 *
 * @param strips whether contents lose white space at both ends, as in the checkpoints that Meta
 *     published, or stand as they are, as in those trained here
 */
public record Llama2Form(boolean strips) implements ChatForm {

  /** The template that trained tokenizers carry: Jinja as transformers and llama.cpp read it. */
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

  @Override
  public String answerHeader() {
    return "";
  }

  @Override
  public String title() {
    return "Llama 2-Chat";
  }

  @Override
  public ChatTemplate with(Tokenizer tokenizer) {
    return new Llama2Chat(tokenizer, this);
  }

  @Override
  public String text(List<Message> dialogue) {
    StringBuilder text = new StringBuilder();
    for (int turn = Dialogue.first(dialogue); turn < dialogue.size(); turn++) {
      if (dialogue.get(turn).role() == Role.USER) {
        text.append(JinjaTemplate.BOS).append(userText(dialogue, turn));
      } else {
        text.append(answerText(dialogue.get(turn).content())).append(JinjaTemplate.EOS);
      }
    }
    return text.toString();
  }

  /** A user turn without the bos before it, the system turn in the first. */
  String userText(List<Message> dialogue, int turn) {
    String said = dialogue.get(turn).content();
    if (turn == 1 && Dialogue.first(dialogue) == 1) {
      said = "<<SYS>>\n" + dialogue.getFirst().content() + "\n<</SYS>>\n\n" + said;
    }
    return "[INST] " + content(said) + " [/INST]";
  }

  /** An assistant turn without the eos after it. */
  String answerText(String answer) {
    return " " + content(answer) + " ";
  }

  private String content(String said) {
    return strips ? Texts.pythonStrip(said) : said;
  }
}
