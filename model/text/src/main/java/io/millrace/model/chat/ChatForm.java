package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TurnMarks;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The layout of a dialogue's text, without a tokenizer. {@link #recognize} compares the text of a
 * form with the output of a checkpoint's chat template.
 */
sealed interface ChatForm permits Llama2Form, TurnForm {

  /**
   * The text of a dialogue. {@link JinjaTemplate#BOS} and {@link JinjaTemplate#EOS} stand for the
   * bos and eos tokens. A dialogue that ends with a user turn is followed by the header of the
   * response.
   */
  String text(List<Message> dialogue);

  /** The text between the end of a user turn and the response, if it is not part of the turn. */
  String assistantHeader();

  /** The texts around turns, which user text could contain. */
  List<String> markTexts();

  /** A text in which no mark can be taken for the form's own. */
  String neutralized(String text);

  /** Name of the form, such as ChatML. */
  String title();

  /** The chat template of this form for a tokenizer. */
  ChatTemplate with(Tokenizer tokenizer, MarksInText marksInText);

  /**
   * The form that agrees with a template on all {@link Probes}.
   *
   * @param source Jinja source of the template
   * @throws IllegalArgumentException naming the first difference, if no form agrees, or the limit
   *     that the template exceeds
   */
  static ChatForm recognize(String source) {
    return JinjaLimits.call(() -> recognizeHere(source));
  }

  private static ChatForm recognizeHere(String source) {
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
                    ("it is not that of Llama 2-Chat, ChatML or Llama 3: it renders the user turn"
                            + " \"hi\" as \"%s\"")
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
        TurnForm.matching(template, first, marks, strips).ifPresent(forms::add);
      }
    }
    return forms;
  }
}
