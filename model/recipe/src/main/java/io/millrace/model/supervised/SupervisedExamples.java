package io.millrace.model.supervised;

import io.millrace.model.chat.ChatExample;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Makes training examples from dialogues and plain texts. */
public final class SupervisedExamples {

  private SupervisedExamples() {}

  /**
   * A dialogue with the loss on its answers and on the end token after each (Llama 2, arXiv
   * 2307.09288, section 3.1).
   *
   * @param firstLearnedTurn answers before this turn have no loss; 0 learns all answers
   */
  public static Example answers(
      ChatTemplate template, List<Message> dialogue, int firstLearnedTurn) {
    ChatExample example = template.demonstration(dialogue, firstLearnedTurn);
    return new Example(example.tokens(), example.learned());
  }

  /** A dialogue with the loss on every token, also of user turns. */
  public static Example allTokens(ChatTemplate template, List<Message> dialogue) {
    return learned(template.demonstration(dialogue).tokens());
  }

  /**
   * A plain text as in pretraining: the bos token if texts begin with one, the text, the eos token.
   * Every token is learned.
   */
  public static Example text(Tokenizer tokenizer, String text) {
    return learned(
        Stream.of(tokenizer.textStart(), tokenizer.encode(text), new int[] {tokenizer.eos()})
            .flatMapToInt(IntStream::of)
            .toArray());
  }

  private static Example learned(int[] tokens) {
    boolean[] loss = new boolean[tokens.length];
    // No token before the first one predicts it.
    Arrays.fill(loss, 1, loss.length, true);
    return new Example(tokens, loss);
  }

  /**
   * Cuts an example into pieces. A piece begins with the last token of the piece before it: every
   * learned token is then predicted in exactly one piece.
   *
   * @param length maximum tokens of a piece, at least 2
   */
  public static List<Example> cut(Example example, int length) {
    List<Example> pieces = new ArrayList<>();
    int tokens = example.tokens().length;
    for (int from = 0; from < tokens - 1; from += length - 1) {
      int to = Math.min(tokens, from + length);
      boolean[] loss = Arrays.copyOfRange(example.loss(), from, to);
      loss[0] = false;
      pieces.add(new Example(Arrays.copyOfRange(example.tokens(), from, to), loss));
    }
    return pieces;
  }
}
