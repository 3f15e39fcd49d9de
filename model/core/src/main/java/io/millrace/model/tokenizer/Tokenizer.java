package io.millrace.model.tokenizer;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * Text to tokens and back, by a byte-pair encoding in Hugging Face's format.
 *
 * <p>Text never becomes a special token: {@code "</s>"} typed by a user is five ordinary
 * characters. Special tokens come in by their ids alone, see {@link #bos()} and its neighbours.
 *
 * <p>Everything here may be called by many threads at once; after {@link #close()} encoding and
 * decoding throw {@link IllegalStateException}. Nothing is downloaded; the native library is
 * unpacked once below {@code ~/.djl.ai}, or where {@code DJL_CACHE_DIR} says.
 */
public final class Tokenizer implements AutoCloseable {
  /** Kinds of text that an encoding may lose: runs of space, marks, long characters, controls. */
  private static final String PROBE = "Round  trip:\n\té e\u0301 \ud83d\ude00\u0000.";

  /** Text before other text, a single token or several. */
  private static final String ANCHOR = "-";

  private final TokenizerFiles files;
  private final TokenizerConfig config;
  private final Vocabulary vocabulary;
  private final Set<Integer> special;
  private final NativeTokenizer nativeTokenizer;

  /** Encodes text that begins nothing; the same object where that makes no difference. */
  private final NativeTokenizer continuation;

  private final TokenizerJson.Prefix prefix;
  private final int[] textStart;
  private final OptionalInt bos;
  private final OptionalInt eos;
  private final OptionalInt separator;
  private final OptionalInt padding;

  /** U+FFFD, which stands for what is no text. */
  private final int[] replacement;

  /**
   * Reads {@code tokenizer.json} and {@code tokenizer_config.json}.
   *
   * @throws TokenizerException if they cannot be read, are not sound, or hold a tokenizer of a kind
   *     that Llama models do not have; the message names the file and the fault
   */
  public static Tokenizer load(Path directory) {
    return new Tokenizer(TokenizerFiles.read(directory));
  }

  public Tokenizer(TokenizerFiles files) {
    this.files = files;
    config = TokenizerConfig.parse(files);
    TokenizerJson json = TokenizerJson.parse(files, config.special());
    vocabulary = json.vocabulary();
    special = json.special();
    prefix = json.prefix();
    textStart = json.startToken().stream().mapToInt(token -> id("bos_token", token)).toArray();
    bos = optionalId("bos_token", config.bos());
    eos = optionalId("eos_token", config.eos());
    separator = optionalId("sep_token", config.separator());
    padding = optionalId("pad_token", config.padding());
    requireOwnSeparator();
    String where = files.where(TokenizerFiles.TOKENIZER);
    nativeTokenizer = new NativeTokenizer(where, json.nativeJson());
    continuation =
        prefix == TokenizerJson.Prefix.NONE
            ? nativeTokenizer
            : new NativeTokenizer(where, json.continuationJson());
    requireRoundTrip(PROBE, text -> decode(encode(text)));
    // By itself, a text that begins with a space may be taken for the same without it.
    requireRoundTrip(" " + PROBE + " ", text -> decodeContinuation(encodeContinuation(text)));
    replacement = encodeContinuation("\ufffd");
  }

  private int id(String role, String token) {
    return idOf(token)
        .orElseThrow(
            () ->
                new TokenizerException(
                    files.where(TokenizerFiles.CONFIG),
                    "%s is \"%s\", which %s does not have"
                        .formatted(role, token, TokenizerFiles.TOKENIZER)));
  }

  private OptionalInt optionalId(String role, Optional<String> token) {
    return token.isEmpty() ? OptionalInt.empty() : OptionalInt.of(id(role, token.get()));
  }

  private void requireOwnSeparator() {
    if (separator.isPresent()
        && (separator.equals(bos) || separator.equals(eos) || separator.equals(padding))) {
      throw new TokenizerException(
          files.where(TokenizerFiles.CONFIG),
          "sep_token \"%s\" must be another token than bos_token, eos_token and pad_token; null stands for none"
              .formatted(config.separator().orElseThrow()));
    }
  }

  private void requireRoundTrip(String text, UnaryOperator<String> roundTrip) {
    String back;
    try {
      back = roundTrip.apply(text);
    } catch (RuntimeException e) {
      close();
      throw new TokenizerException(
          files.where(TokenizerFiles.TOKENIZER), "cannot encode and decode: " + e.getMessage(), e);
    }
    if (!back.equals(text)) {
      close();
      throw new TokenizerException(
          files.where(TokenizerFiles.TOKENIZER),
          "does not give back the text it encodes: \"%s\" for \"%s\"".formatted(back, text));
    }
  }

  /**
   * The tokens of a text, none of them special, none added. A lone surrogate, which is no Unicode
   * character, is taken for U+FFFD; some tokenizers of the SentencePiece kind drop a space that the
   * text begins with.
   */
  public int[] encode(String text) {
    return text.isEmpty() ? new int[0] : nativeTokenizer.encode(Texts.wellFormed(text));
  }

  /** The tokens of a text that follows a special token, as in the middle of a sequence. */
  public int[] encodeAfterSpecial(String text) {
    return prefix == TokenizerJson.Prefix.FIRST ? encodeContinuation(text) : encode(text);
  }

  /** The tokens of a text that follows other text, which may not be joined with it. */
  public int[] encodeContinuation(String text) {
    return text.isEmpty() ? new int[0] : continuation.encode(Texts.wellFormed(text));
  }

  /** The text of tokens that follow other text, as sampled ones do; else as {@link #decode}. */
  public String decodeContinuation(int[] tokens) {
    if (prefix == TokenizerJson.Prefix.NONE) {
      return decode(tokens);
    }
    // Decoders of the SentencePiece kind drop a space that begins the text, so it must not begin.
    return decode(join(encode(ANCHOR), tokens)).substring(ANCHOR.length());
  }

  public static int[] join(int[] a, int[] b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  /**
   * The text of tokens, special tokens left out. Bytes that make no whole character, as where a
   * sequence was cut, become U+FFFD. So does an id that stands for no token: models have rows for
   * more ids than their tokenizers name, to fill up a round number, and may sample one.
   *
   * @throws IllegalArgumentException for a negative id
   */
  public String decode(int[] tokens) {
    LongStream.Builder ordinary = LongStream.builder();
    for (int token : tokens) {
      if (token < 0) {
        throw new IllegalArgumentException("token id " + token + " is negative");
      }
      if (!vocabulary.contains(token)) {
        Arrays.stream(replacement).forEach(ordinary::add);
      } else if (!special.contains(token)) {
        ordinary.add(token);
      }
    }
    long[] ids = ordinary.build().toArray();
    return ids.length == 0 ? "" : nativeTokenizer.decode(ids);
  }

  /** One more than the highest token id: the rows that a model's embedding needs at least. */
  public int vocabSize() {
    return vocabulary.size();
  }

  /**
   * Begins a sequence.
   *
   * @throws TokenizerException if the tokenizer has none
   */
  public int bos() {
    return bos.orElseThrow(() -> without("bos_token"));
  }

  /**
   * Ends a sequence.
   *
   * @throws TokenizerException if the tokenizer has none
   */
  public int eos() {
    return eos.orElseThrow(() -> without("eos_token"));
  }

  private TokenizerException without(String role) {
    return new TokenizerException(
        files.where(TokenizerFiles.CONFIG), "has no \"" + role + "\", which is needed here");
  }

  /**
   * Checks that a model has a row for every token that text, or a dialogue, can be made of. Tokens
   * that nothing here uses, such as a padding token added later, need none.
   *
   * @param rows the model's vocabulary, {@code vocab_size} in {@code config.json}
   * @throws TokenizerException naming the first token beyond it
   */
  public void requireFits(int rows) {
    for (int id = rows; id < vocabSize(); id++) {
      Optional<String> token = vocabulary.token(id);
      if (token.isPresent() && isUsed(id, token.get())) {
        throw new TokenizerException(
            files.where(TokenizerFiles.TOKENIZER),
            "token \"%s\" has id %d, but the model's vocab_size is %d: they do not belong together"
                .formatted(token.get(), id, rows));
      }
    }
  }

  private boolean isUsed(int id, String token) {
    return !special.contains(id)
        || TokenizerJson.CONTROLS.contains(token)
        || bos.equals(OptionalInt.of(id))
        || eos.equals(OptionalInt.of(id))
        || separator.equals(OptionalInt.of(id));
  }

  /** What a plain text begins with: the bos token, or nothing; {@code [0 or 1]}. */
  public int[] textStart() {
    return textStart.clone();
  }

  /**
   * Stands between samples that are concatenated to fill a training sequence.
   *
   * @throws IllegalStateException if the tokenizer has none
   */
  public int separator() {
    return separator.orElseThrow(
        () ->
            new IllegalStateException(
                files.where(TokenizerFiles.CONFIG)
                    + ": has no \"sep_token\"; add a special token to tokenizer.json and name it"
                    + " there"));
  }

  /** The {@link #separator}, where there is one. */
  public OptionalInt optionalSeparator() {
    return separator;
  }

  /** Fills what is no text; never learned from. Millrace packs sequences and does not need it. */
  public OptionalInt padding() {
    return padding;
  }

  /** Whether a token is one that no text encodes to. */
  public boolean isSpecial(int token) {
    return special.contains(token);
  }

  /** The id of a token as the vocabulary spells it, special tokens included. */
  public OptionalInt idOf(String token) {
    return vocabulary.id(token);
  }

  /** The Jinja source of the chat template, if there is one. */
  public Optional<String> chatTemplateSource() {
    return config.chatTemplate();
  }

  public Vocabulary vocabulary() {
    return vocabulary;
  }

  /** Where the tokenizer comes from, for messages. */
  public String origin() {
    return files.origin();
  }

  /**
   * Writes the files that it was read from, byte for byte, and makes the directory if need be.
   *
   * @throws TokenizerException if they cannot be written
   */
  public void save(Path directory) {
    files.write(directory);
  }

  @Override
  public void close() {
    nativeTokenizer.close();
    continuation.close();
  }
}
