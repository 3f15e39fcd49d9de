package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Renders dialogues as tokens, in the form that a model was trained with.
 *
 * <p>User text can neither begin nor end a turn, nor pass for a system turn: the tokens around
 * turns enter as ids, and marks that are ordinary text are neutralized or refused, see {@link
 * MarksInText}. A prompt ends where the response begins, and a response ends with the token that
 * ends its turn. A prompt followed by its response is exactly the rendered dialogue.
 *
 * <p>Several threads may use a template at once, until the tokenizer is closed.
 */
public abstract sealed class ChatTemplate permits Llama2Chat, TurnChat {
  final Tokenizer tokenizer;
  private final ChatForm form;
  private final int endToken;
  private final MarksInText marksInText;

  private record Known(String source, ChatForm form) {}

  /** The template of the last call. Successive policy versions come with the same one. */
  private static volatile Known last;

  ChatTemplate(Tokenizer tokenizer, ChatForm form, int endToken, MarksInText marksInText) {
    this.tokenizer = tokenizer;
    this.form = form;
    this.endToken = endToken;
    this.marksInText = marksInText;
  }

  /**
   * The chat template of a tokenizer. Its Jinja source is run on a set of dialogues and recognized
   * by its output, not by its wording.
   *
   * @throws TokenizerException if the tokenizer has no template, or one that does not render as
   *     Llama 2-Chat, ChatML or Llama 3. Guessing would spoil every token
   */
  public static ChatTemplate of(Tokenizer tokenizer) {
    return of(tokenizer, MarksInText.NEUTRALIZE);
  }

  /**
   * As {@link #of(Tokenizer)}.
   *
   * @param marksInText what happens to marks of turns in the text of user and system turns
   */
  public static ChatTemplate of(Tokenizer tokenizer, MarksInText marksInText) {
    String source =
        tokenizer
            .chatTemplateSource()
            .orElseThrow(
                () ->
                    new TokenizerException(
                        tokenizer.origin(),
                        "the tokenizer has no chat template; set the one that the model was"
                            + " trained with, by millrace checkpoint set-template DIR --form"
                            + " llama2|chatml|llama3|FILE"));
    try {
      return known(source).form().with(tokenizer, marksInText);
    } catch (IllegalArgumentException e) {
      throw new TokenizerException(
          tokenizer.origin(), "the chat template is not supported: " + e.getMessage(), e);
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

  /** Name of the form: Llama 2-Chat, ChatML or Llama 3. */
  public String title() {
    return form.title();
  }

  /** The token that ends every assistant turn. */
  int endToken() {
    return endToken;
  }

  /**
   * The tokens at which sampling stops, without repetition: the token that ends an assistant turn,
   * and the eos tokens of the model's configuration.
   */
  public int[] stopTokens(List<Integer> eosTokens) {
    return IntStream.concat(IntStream.of(endToken), eosTokens.stream().mapToInt(Integer::intValue))
        .distinct()
        .toArray();
  }

  /**
   * The tokens of a prompt, up to where the response begins. Earlier assistant turns are part of
   * it.
   *
   * @throws IllegalArgumentException unless the dialogue ends with a user turn
   */
  public int[] promptTokens(List<Message> dialogue) {
    Dialogue.requirePrompt(dialogue);
    return render(dialogue, 0).tokens();
  }

  /**
   * Checks the length of a dialogue and its marks, without tokenizing it.
   *
   * @throws ForgedTurnException if it contains marks and the template refuses them
   * @throws io.millrace.model.tokenizer.TextTooLongException if it is too long to be tokenized
   */
  public void requireEncodable(List<Message> dialogue) {
    withoutMarks(dialogue);
    dialogue.forEach(turn -> tokenizer.requireEncodable(turn.content()));
    tokenizer.requireEncodable(form.text(dialogue));
  }

  /** The tokens of a response, up to and including the token that ends the turn. */
  public int[] responseTokens(String response) {
    return Tokenizer.join(
        tokenizer.encodeContinuation(assistantText(response)), new int[] {endToken});
  }

  /**
   * The text of a response, the inverse of {@link #responseTokens}. The text stops before the first
   * token that ends a turn, and has none of the spaces that the form adds. A response that was cut
   * off has no such token; a space at its end is its own. Ids without a token become U+FFFD, as in
   * {@link Tokenizer#decode}.
   */
  public String responseText(int[] tokens) {
    int end =
        IntStream.range(0, tokens.length)
            .filter(i -> tokens[i] == endToken)
            .findFirst()
            .orElse(tokens.length);
    String text = tokenizer.decodeContinuation(Arrays.copyOf(tokens, end));
    return contentOf(text, end < tokens.length);
  }

  /**
   * A dialogue as a training example. The loss counts every assistant turn and the token that ends
   * it.
   *
   * @throws IllegalArgumentException unless the dialogue ends with an assistant turn
   */
  public ChatExample demonstration(List<Message> dialogue) {
    return demonstration(dialogue, 0);
  }

  /**
   * As {@link #demonstration(List)}, with the loss on some assistant turns only.
   *
   * @param firstLearnedTurn index of a turn of the dialogue; the loss ignores earlier turns
   * @throws IllegalArgumentException unless the dialogue has that turn and ends with an assistant
   *     turn
   */
  public ChatExample demonstration(List<Message> dialogue, int firstLearnedTurn) {
    Dialogue.requireDemonstration(dialogue);
    if (firstLearnedTurn < 0 || firstLearnedTurn >= dialogue.size()) {
      throw new IllegalArgumentException(
          "firstLearnedTurn is %d but must be a turn of the dialogue, 0 to %d"
              .formatted(firstLearnedTurn, dialogue.size() - 1));
    }
    return render(dialogue, firstLearnedTurn);
  }

  /**
   * The dialogue with texts that no reader can take for marks of turns. Assistant turns stay as
   * they are: a response must have the tokens that the model samples.
   */
  private List<Message> withoutMarks(List<Message> dialogue) {
    List<Message> safe = new ArrayList<>(dialogue);
    for (int turn = 0; turn < safe.size(); turn++) {
      Message message = safe.get(turn);
      if (message.role() != Role.ASSISTANT) {
        if (marksInText == MarksInText.REFUSE) {
          refuseMarks(turn, message);
        }
        safe.set(turn, new Message(message.role(), form.neutralized(message.content())));
      }
    }
    return safe;
  }

  private void refuseMarks(int turn, Message message) {
    for (String mark : form.markTexts()) {
      if (message.content().contains(mark)) {
        throw new ForgedTurnException(turn, message.role(), mark, form.title());
      }
    }
  }

  private ChatExample render(List<Message> given, int firstLearnedTurn) {
    List<Message> dialogue = withoutMarks(given);
    IntStream.Builder tokens = IntStream.builder();
    boolean[] learned = new boolean[0];
    int length = 0;
    for (int turn = Dialogue.first(dialogue); turn < dialogue.size(); turn++) {
      boolean assistant = dialogue.get(turn).role() == Role.ASSISTANT;
      int[] part =
          assistant ? responseTokens(dialogue.get(turn).content()) : userTokens(dialogue, turn);
      Arrays.stream(part).forEach(tokens);
      learned = Arrays.copyOf(learned, length + part.length);
      Arrays.fill(learned, length, learned.length, assistant && turn >= firstLearnedTurn);
      length = learned.length;
    }
    return new ChatExample(tokens.build().toArray(), learned);
  }

  /**
   * The tokens of a user turn. They begin after the end token of the assistant turn before it, or
   * at the start of the dialogue, and then include the system turn. They end where the response
   * begins.
   */
  abstract int[] userTokens(List<Message> dialogue, int turn);

  /** The text of an assistant turn with the spaces that the form adds, without the end token. */
  abstract String assistantText(String content);

  /**
   * The content of an assistant turn, the inverse of {@link #assistantText}.
   *
   * @param ended whether the end token follows
   */
  abstract String contentOf(String text, boolean ended);
}
