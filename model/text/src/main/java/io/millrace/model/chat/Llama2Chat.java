package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import java.util.Arrays;
import java.util.List;

/**
 * The form of Llama 2-Chat (arXiv 2307.09288; {@code llama/generation.py} of Meta's release). Each
 * pair of turns is
 *
 * <pre>{@code <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant} </s>}</pre>
 *
 * with the system block in the first pair only. {@code <s>} and {@code </s>} stand for the bos and
 * eos tokens. As in Llama 2-Chat itself, the brackets are ordinary text. {@link MarksInText} says
 * what happens to those in user text.
 */
final class Llama2Chat extends ChatTemplate {
  private final Llama2Form form;
  private final int bos;

  Llama2Chat(Tokenizer tokenizer, Llama2Form form, MarksInText marksInText) {
    super(tokenizer, form, tokenizer.eos(), marksInText);
    this.form = form;
    bos = tokenizer.bos();
    if (bos == endToken()) {
      throw new TokenizerException(
          tokenizer.origin(),
          "bos_token and eos_token are the same token; Llama 2-Chat needs two different ones");
    }
    String before = form.userText(Probes.FIRST, 0);
    String after = form.assistantText("yo");
    int[] apart =
        Tokenizer.join(tokenizer.encodeAfterSpecial(before), tokenizer.encodeContinuation(after));
    if (!Arrays.equals(tokenizer.encodeAfterSpecial(before + after), apart)) {
      throw new TokenizerException(
          tokenizer.origin(),
          "the vocabulary has a token that spans the end of \"[/INST]\" and the start of the"
              + " response, so prompt and response cannot be tokenized separately");
    }
  }

  @Override
  int[] userTokens(List<Message> dialogue, int turn) {
    return Tokenizer.join(
        new int[] {bos}, tokenizer.encodeAfterSpecial(form.userText(dialogue, turn)));
  }

  @Override
  String assistantText(String content) {
    return form.assistantText(content);
  }

  @Override
  String contentOf(String text, boolean ended) {
    String content = text.startsWith(" ") ? text.substring(1) : text;
    return ended && content.endsWith(" ") ? content.substring(0, content.length() - 1) : content;
  }
}
