package io.millrace.model.chat;

import io.millrace.model.tokenizer.TurnMarks;

/** The forms of chat templates that Millrace can write for a model that has none. */
public enum TemplateForm {
  LLAMA2(Llama2Form.SOURCE),
  CHATML(source(TurnMarks.CHATML, false)),
  LLAMA3(source(TurnMarks.LLAMA3, true));

  private final String source;

  TemplateForm(String source) {
    this.source = source;
  }

  /** The Jinja source, which transformers and llama.cpp can run. */
  public String source() {
    return source;
  }

  private static String source(TurnMarks marks, boolean bos) {
    String content = bos ? "message['content'] | trim" : "message['content']";
    return (bos ? "{{ bos_token }}" : "")
        + "{% for message in messages %}{{ '"
        + marks.open
        + "' + message['role'] + '"
        + escaped(marks.endOfRole + marks.gap)
        + "' + ("
        + content
        + ") + '"
        + escaped(marks.end + marks.between)
        + "' }}{% endfor %}{% if add_generation_prompt %}{{ '"
        + escaped(marks.header(TurnForm.name(Role.ASSISTANT)))
        + "' }}{% endif %}";
  }

  private static String escaped(String text) {
    return text.replace("\n", "\\n");
  }
}
