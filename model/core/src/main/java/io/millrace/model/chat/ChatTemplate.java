package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Dialogues as a model's tokens, in the form that it was trained with.
 *
 * <p>The tokens that begin and end turns enter as ids: what people write can neither end nor begin
 * a turn. A prompt ends where the response is due, a response ends with {@link #endToken}; prompt
 * and response one after the other are exactly the tokens of the dialogue with both. May be used by
 * many threads at once, as long as the tokenizer is open.
 */
public abstract sealed class ChatTemplate permits Llama2Chat, TurnChat {
  final Tokenizer tokenizer;
  private final ChatForm form;
  private final int endToken;

  private record Known(String source, ChatForm form) {}

  /** The template met last: one policy version after another comes with the same. */
  private static volatile Known last;

  ChatTemplate(Tokenizer tokenizer, ChatForm form, int endToken) {
    this.tokenizer = tokenizer;
    this.form = form;
    this.endToken = endToken;
  }

  /**
   * The template that comes with a tokenizer. Its source is a program: it is run on a set of
   * dialogues, and known by what it makes of them, however it is written.
   *
   * @throws TokenizerException if the tokenizer comes with none, or with one whose text is not that
   *     of Llama 2-Chat, ChatML or Llama 3: it would be a guess, and a wrong one spoils every token
   */
  public static ChatTemplate of(Tokenizer tokenizer) {
    String source =
        tokenizer
            .chatTemplateSource()
            .orElseThrow(
                () ->
                    new TokenizerException(
                        tokenizer.origin(),
                        "the tokenizer has no chat template; set \"chat_template\" in"
                            + " tokenizer_config.json to the one that the model was trained"
                            + " with"));
    try {
      return known(source).form().with(tokenizer);
    } catch (IllegalArgumentException e) {
      throw new TokenizerException(
          tokenizer.origin(), "its chat template is not supported: " + e.getMessage(), e);
    }
  }

  private static Known known(String source) {
    Known known = last;
    if (known == null || !known.source().equals(source)) {
      known = new Known(source, ChatForm.recognize(source));
      last = known;
    }
    return known;
  }

  /** The form's name: Llama 2-Chat, ChatML or Llama 3. */
  public String title() {
    return form.title();
  }

  /** The token that every response of a demonstration ends with. */
  public int endToken() {
    return endToken;
  }

  /**
   * The tokens at which sampling stops: {@link #endToken} and those that the model's configuration
   * names, each once.
   */
  public int[] stopTokens(List<Integer> eosTokens) {
    return IntStream.concat(IntStream.of(endToken), eosTokens.stream().mapToInt(Integer::intValue))
        .distinct()
        .toArray();
  }

  /**
   * The tokens of a prompt up to where the response is due, answers to earlier turns included.
   *
   * @throws IllegalArgumentException unless the dialogue ends with a user turn
   */
  public int[] promptTokens(List<Message> dialogue) {
    Dialogue.requirePrompt(dialogue);
    return render(dialogue, 0).tokens();
  }

  /** The tokens of a response, {@link #endToken} included. */
  public int[] responseTokens(String answer) {
    return Tokenizer.join(tokenizer.encodeContinuation(answerText(answer)), new int[] {endToken});
  }

  /**
   * The text of a response: the inverse of {@link #responseTokens}. Tokens from the first {@link
   * #endToken} on are left out, and so is what the form puts around an answer; without that token,
   * as in a response that was cut, space at the end is the response's own. Ids without a token
   * become U+FFFD, as in {@link Tokenizer#decode}.
   */
  public String responseText(int[] tokens) {
    int end =
        IntStream.range(0, tokens.length)
            .filter(i -> tokens[i] == endToken)
            .findFirst()
            .orElse(tokens.length);
    String text = tokenizer.decodeContinuation(Arrays.copyOf(tokens, end));
    return answerOf(text, end < tokens.length);
  }

  /**
   * A dialogue to learn from, with the loss on every assistant turn and the {@link #endToken} after
   * it.
   *
   * @throws IllegalArgumentException unless the dialogue ends with an assistant turn
   */
  public ChatExample demonstration(List<Message> dialogue) {
    return demonstration(dialogue, 0);
  }

  /**
   * The same with the loss on some of the assistant turns only.
   *
   * @param firstLearnedTurn index of a turn of the dialogue; the loss on those before it is zero
   * @throws IllegalArgumentException unless the dialogue has such a turn and ends with an
   *     assistant's
   */
  public ChatExample demonstration(List<Message> dialogue, int firstLearnedTurn) {
    Dialogue.requireDemonstration(dialogue);
    if (firstLearnedTurn < 0 || firstLearnedTurn >= dialogue.size()) {
      throw new IllegalArgumentException(
          "the first learned turn is %d, but the dialogue has turns 0 to %d"
              .formatted(firstLearnedTurn, dialogue.size() - 1));
    }
    return render(dialogue, firstLearnedTurn);
  }

  private ChatExample render(List<Message> dialogue, int firstLearnedTurn) {
    IntStream.Builder tokens = IntStream.builder();
    boolean[] learned = new boolean[0];
    int length = 0;
    for (int turn = Dialogue.first(dialogue); turn < dialogue.size(); turn++) {
      boolean answer = dialogue.get(turn).role() == Role.ASSISTANT;
      int[] part =
          answer ? responseTokens(dialogue.get(turn).content()) : userTokens(dialogue, turn);
      Arrays.stream(part).forEach(tokens);
      learned = Arrays.copyOf(learned, length + part.length);
      Arrays.fill(learned, length, learned.length, answer && turn >= firstLearnedTurn);
      length = learned.length;
    }
    return new ChatExample(tokens.build().toArray(), learned);
  }

  /**
   * The tokens of a user turn: from the end token of the answer before it, or from the beginning of
   * the dialogue with its system turn, to where the answer to it is due.
   */
  abstract int[] userTokens(List<Message> dialogue, int turn);

  /** An answer with what the form puts around it, the end token aside. */
  abstract String answerText(String answer);

  /**
   * The inverse of {@link #answerText}.
   *
   * @param ended whether the end token follows
   */
  abstract String answerOf(String text, boolean ended);
}
