package io.millrace.model.tokenizer;

import java.util.List;
import java.util.Optional;

/**
 * How the text of a dialogue is laid out, apart from any tokenizer. What a form says a dialogue
 * becomes is compared with what a checkpoint's template makes of it.
 */
sealed interface ChatForm permits Llama2Form, TurnForm {

  /**
   * The text of a dialogue; bos and eos stand in it as {@link JinjaTemplate#BOS} and {@link
   * JinjaTemplate#EOS}. One that ends with a user turn is followed by what a response is due after.
   */
  String text(List<Message> dialogue);

  /** The form's name, for people. */
  String title();

  /** The chat template for a tokenizer. */
  ChatTemplate with(Tokenizer tokenizer);

  /**
   * The form whose text is the template's on every one of a set of dialogues.
   *
   * @throws IllegalArgumentException saying why there is none
   */
  static ChatForm recognize(String source) {
    JinjaTemplate template = new JinjaTemplate(source);
    String first = template.render(Probes.FIRST, true);
    for (boolean strips : new boolean[] {false, true}) {
      Llama2Form llama2 = new Llama2Form(strips);
      if (first.equals(llama2.text(Probes.FIRST)) && Probes.agree(template, llama2)) {
        return llama2;
      }
    }
    for (TurnForm.Marks marks : TurnForm.Marks.values()) {
      for (boolean strips : new boolean[] {false, true}) {
        Optional<TurnForm> form = TurnForm.like(template, first, marks, strips);
        if (form.isPresent() && Probes.agree(template, form.get())) {
          return form.get();
        }
      }
    }
    throw new IllegalArgumentException(
        "it is none of Llama 2-Chat's, ChatML's and Llama 3's; of a user's \"hi\" it makes \"%s\""
            .formatted(shown(first)));
  }

  private static String shown(String text) {
    String plain =
        text.replace(JinjaTemplate.BOS, "<bos>")
            .replace(JinjaTemplate.EOS, "<eos>")
            .replace("\n", "\\n");
    return plain.length() <= 200 ? plain : plain.substring(0, 200) + "…";
  }
}
