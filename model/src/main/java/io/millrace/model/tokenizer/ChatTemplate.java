package io.millrace.model.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Dialogues as tokens in the form of Llama 2-Chat (arXiv 2307.09288; {@code llama/generation.py} of
 * Meta's release): one turn pair after the other is
 *
 * <pre>{@code <s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant} </s>}</pre>
 *
 * with the system block in the first pair only. {@code <s>} and {@code </s>} stand for the bos and
 * eos tokens, which enter as ids: what people write can neither end nor begin a turn pair. The
 * brackets are ordinary text, as in Llama 2-Chat itself, and can be written by anyone.
 *
 * <p>A prompt ends after {@code [/INST]}, a response is the rest: prompt and response one after the
 * other are exactly the tokens of the dialogue with both. May be used by many threads at once, as
 * long as the tokenizer is open.
 */
public final class ChatTemplate {
  private static final String TURN = "[INST] ";
  private static final String TURN_END = " [/INST]";

  /** What stands before every response, as text by itself. */
  private static final String ANCHOR = "[/INST]";

  private final Tokenizer tokenizer;
  private final Llama2Template form;
  private final int[] anchor;

  /**
   * The template that comes with a tokenizer.
   *
   * @throws TokenizerException if it comes with none, or with one that is not known to be Llama
   *     2-Chat's: it would be a guess, and a wrong one spoils every token
   */
  public static ChatTemplate of(Tokenizer tokenizer) {
    String source =
        tokenizer
            .chatTemplateSource()
            .orElseThrow(
                () ->
                    new TokenizerException(
                        tokenizer.origin(),
                        "the tokenizer has no chat template; if the model was trained for Llama"
                            + " 2-Chat's, set \"chat_template\" in tokenizer_config.json to it"));
    Llama2Template form =
        Llama2Template.recognize(source)
            .orElseThrow(
                () ->
                    new TokenizerException(
                        tokenizer.origin(),
                        "its chat template is not a known spelling of Llama 2-Chat's, the only one"
                            + " supported; it begins \"%s\""
                                .formatted(source.substring(0, Math.min(80, source.length())))));
    return new ChatTemplate(tokenizer, form);
  }

  private ChatTemplate(Tokenizer tokenizer, Llama2Template form) {
    this.tokenizer = tokenizer;
    this.form = form;
    anchor = tokenizer.encode(ANCHOR);
    String before = TURN + "a" + TURN_END;
    int[] whole = tokenizer.encode(before + " b ");
    if (!Arrays.equals(whole, join(tokenizer.encode(before), afterAnchor(" b ")))) {
      throw new TokenizerException(
          tokenizer.origin(),
          "the vocabulary has tokens that reach across the end of \"[/INST]\", so prompts and"
              + " responses cannot be told apart");
    }
  }

  /**
   * The tokens of a prompt, from bos to {@code [/INST]}, answers to earlier turns included.
   *
   * @throws IllegalArgumentException unless the dialogue ends with a user turn
   */
  public int[] promptTokens(List<Message> dialogue) {
    Dialogue.requirePrompt(dialogue);
    return render(dialogue).tokens();
  }

  /** The tokens of a response, eos included. */
  public int[] responseTokens(String answer) {
    return join(afterAnchor(" " + content(answer) + " "), new int[] {tokenizer.eos()});
  }

  /**
   * The text of a response: the inverse of {@link #responseTokens}. Tokens after the first eos are
   * left out, and so are the spaces that the template puts around an answer; without eos, as in a
   * response that was cut, the last space is the response's own.
   *
   * @throws IllegalArgumentException for an id that the vocabulary does not have
   */
  public String responseText(int[] tokens) {
    int end =
        IntStream.range(0, tokens.length)
            .filter(i -> tokens[i] == tokenizer.eos())
            .findFirst()
            .orElse(tokens.length);
    // Decoders of the SentencePiece kind drop a space that begins the text, so it must not begin.
    String text =
        tokenizer.decode(join(anchor, Arrays.copyOf(tokens, end))).substring(ANCHOR.length());
    if (text.startsWith(" ")) {
      text = text.substring(1);
    }
    return end < tokens.length && text.endsWith(" ") ? text.substring(0, text.length() - 1) : text;
  }

  /**
   * A dialogue to learn from, with the loss on every assistant turn and the eos after it.
   *
   * @throws IllegalArgumentException unless the dialogue ends with an assistant turn
   */
  public ChatExample demonstration(List<Message> dialogue) {
    Dialogue.requireDemonstration(dialogue);
    return render(dialogue);
  }

  private ChatExample render(List<Message> dialogue) {
    IntStream.Builder tokens = IntStream.builder();
    int first = Dialogue.first(dialogue);
    boolean[] learned = new boolean[0];
    int length = 0;
    for (int turn = first; turn < dialogue.size(); turn++) {
      Message message = dialogue.get(turn);
      boolean answer = message.role() == Role.ASSISTANT;
      int[] part = answer ? responseTokens(message.content()) : userTokens(dialogue, turn, first);
      Arrays.stream(part).forEach(tokens);
      learned = Arrays.copyOf(learned, length + part.length);
      Arrays.fill(learned, length, learned.length, answer);
      length = learned.length;
    }
    return new ChatExample(tokens.build().toArray(), learned);
  }

  private int[] userTokens(List<Message> dialogue, int turn, int first) {
    String said = dialogue.get(turn).content();
    if (turn == first && first == 1) {
      said = "<<SYS>>\n" + dialogue.getFirst().content() + "\n<</SYS>>\n\n" + said;
    }
    return join(new int[] {tokenizer.bos()}, tokenizer.encode(TURN + content(said) + TURN_END));
  }

  private String content(String said) {
    return form == Llama2Template.STRIPPED ? Texts.pythonStrip(said) : said;
  }

  /** The tokens of a text where it follows {@code [/INST]}, not where it begins a sequence. */
  private int[] afterAnchor(String text) {
    int[] both = tokenizer.encode(ANCHOR + text);
    return Arrays.copyOfRange(both, anchor.length, both.length);
  }

  private static int[] join(int[] a, int[] b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }
}
