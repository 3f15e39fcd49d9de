package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import java.util.Arrays;
import java.util.List;

/**
 * The form of Llama 2-Chat (arXiv 2307.09288; {@code llama/generation.py} of Meta's release): one
 * turn pair after the other is
 *
 * <pre>{@code <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant} </s>}</pre>
 *
 * with the system block in the first pair only. {@code <s>} and {@code </s>} stand for the bos and
 * eos tokens. The brackets are ordinary text, as in Llama 2-Chat itself, and can be written by
 * anyone.
 */
final class Llama2Chat extends ChatTemplate {
  private final Llama2Form form;
  private final int bos;

  Llama2Chat(Tokenizer tokenizer, Llama2Form form) {
    super(tokenizer, form, tokenizer.eos());
    this.form = form;
    bos = tokenizer.bos();
    if (bos == endToken()) {
      throw new TokenizerException(
          tokenizer.origin(),
          "bos_token and eos_token are the same, which Llama 2-Chat's turns cannot do without");
    }
    String before = form.userText(Probes.FIRST, 0);
    String after = form.answerText("yo");
    int[] apart =
        Tokenizer.join(tokenizer.encodeAfterSpecial(before), tokenizer.encodeContinuation(after));
    if (!Arrays.equals(tokenizer.encodeAfterSpecial(before + after), apart)) {
      throw new TokenizerException(
          tokenizer.origin(),
          "the vocabulary has tokens that reach across the end of \"[/INST]\", so prompts and"
              + " responses cannot be told apart");
    }
  }

  @Override
  int[] userTokens(List<Message> dialogue, int turn) {
    return Tokenizer.join(
        new int[] {bos}, tokenizer.encodeAfterSpecial(form.userText(dialogue, turn)));
  }

  @Override
  String answerText(String answer) {
    return form.answerText(answer);
  }

  @Override
  String answerOf(String text, boolean ended) {
    String answer = text.startsWith(" ") ? text.substring(1) : text;
    return ended && answer.endsWith(" ") ? answer.substring(0, answer.length() - 1) : answer;
  }
}
