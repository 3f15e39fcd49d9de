package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TurnMarks;
import java.util.ArrayList;
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

  /** What stands between a turn's end and an answer, where it is no part of the turn. */
  String answerHeader();

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
    Optional<Probes.Difference> nearest = Optional.empty();
    for (ChatForm form : candidates(template, first)) {
      Optional<Probes.Difference> difference = Probes.firstDifference(template, form);
      if (difference.isEmpty()) {
        return form;
      }
      if (nearest.isEmpty() || difference.get().agreed() > nearest.get().agreed()) {
        nearest = difference;
      }
    }
    throw new IllegalArgumentException(
        nearest
            .map(Probes.Difference::reason)
            .orElseGet(
                () ->
                    "it is none of Llama 2-Chat's, ChatML's and Llama 3's; of \"hi\" it makes \"%s\""
                        .formatted(Probes.shown(first))));
  }

  /** The forms that agree with a template on the simplest dialogue. */
  private static List<ChatForm> candidates(JinjaTemplate template, String first) {
    List<ChatForm> forms = new ArrayList<>();
    for (boolean strips : new boolean[] {false, true}) {
      Llama2Form llama2 = new Llama2Form(strips);
      if (first.equals(llama2.text(Probes.FIRST))) {
        forms.add(llama2);
      }
    }
    for (TurnMarks marks : TurnMarks.values()) {
      for (boolean strips : new boolean[] {false, true}) {
        TurnForm.like(template, first, marks, strips).ifPresent(forms::add);
      }
    }
    return forms;
  }
}
