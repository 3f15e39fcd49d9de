package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import io.millrace.model.tokenizer.TurnMarks;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The forms of ChatML and Llama 3:
 *
 * <pre>{@code
 * <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{assistant}<|im_end|>
 * <|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{assistant}<|eot_id|>
 * }</pre>
 *
 * The text of an assistant turn is tokenized apart from its header, because a model samples it that
 * way.
 */
final class TurnChat extends ChatTemplate {
  private final TurnForm form;
  private final Optional<Integer> bos;
  private final int open;
  private final Optional<Integer> endOfRole;

  TurnChat(Tokenizer tokenizer, TurnForm form, MarksInText marksInText) {
    super(tokenizer, form, control(tokenizer, form.marks(), form.marks().end), marksInText);
    this.form = form;
    TurnMarks marks = form.marks();
    bos = form.bos() ? Optional.of(tokenizer.bos()) : Optional.empty();
    open = control(tokenizer, marks, marks.open);
    endOfRole =
        marks.endOfRole.isEmpty()
            ? Optional.empty()
            : Optional.of(control(tokenizer, marks, marks.endOfRole));
  }

  private static int control(Tokenizer tokenizer, TurnMarks marks, String token) {
    int id =
        tokenizer
            .idOf(token)
            .orElseThrow(
                () ->
                    new TokenizerException(
                        tokenizer.origin(),
                        "the chat template is that of %s, but tokenizer.json has no token \"%s\""
                            .formatted(marks.title, token)));
    if (!tokenizer.isSpecial(id)) {
      throw new TokenizerException(
          tokenizer.origin(),
          "\"%s\" is an ordinary token, which user text could contain; make it an added token"
                  .formatted(token)
              + " of tokenizer.json");
    }
    return id;
  }

  @Override
  int[] userTokens(List<Message> dialogue, int turn) {
    TurnMarks marks = form.marks();
    IntStream.Builder tokens = IntStream.builder();
    if (turn == Dialogue.first(dialogue)) {
      bos.ifPresent(tokens::add);
      form.systemText(dialogue).ifPresent(content -> turn(tokens, Role.SYSTEM, content));
    } else {
      section(tokens, marks.between);
    }
    turn(tokens, Role.USER, form.content(dialogue.get(turn).content()));
    header(tokens, Role.ASSISTANT, "");
    return tokens.build().toArray();
  }

  private void turn(IntStream.Builder tokens, Role role, String content) {
    header(tokens, role, content);
    tokens.add(endToken());
    section(tokens, form.marks().between);
  }

  /**
   * Adds a header and the content after it. Both are tokenized together where no token separates
   * them, as other libraries do.
   */
  private void header(IntStream.Builder tokens, Role role, String content) {
    tokens.add(open);
    if (endOfRole.isPresent()) {
      section(tokens, TurnForm.name(role));
      tokens.add(endOfRole.get());
      section(tokens, form.marks().gap + content);
    } else {
      section(tokens, TurnForm.name(role) + form.marks().gap + content);
    }
  }

  private void section(IntStream.Builder tokens, String text) {
    for (int token : tokenizer.encodeAfterSpecial(text)) {
      tokens.add(token);
    }
  }

  @Override
  String assistantText(String content) {
    return form.content(content);
  }

  @Override
  String contentOf(String text, boolean ended) {
    return text;
  }
}
