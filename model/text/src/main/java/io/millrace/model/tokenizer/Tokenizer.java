package io.millrace.model.tokenizer;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * Converts text to tokens and back, with a byte-pair encoding in Hugging Face's format.
 *
 * <p>Text never becomes a special token: {@code "</s>"} typed by a user is encoded as ordinary
 * characters. Special tokens are available only by their ids, such as {@link #bos()}.
 *
 * <p>A text that is too long for the native library is refused with a {@link TextTooLongException}:
 * on such texts the library can end the process.
 *
 * <p>Several threads may use a tokenizer at once. After {@link #close()}, encoding and decoding
 * throw {@link IllegalStateException}. Nothing is downloaded. The native library is unpacked once
 * to {@code ~/.djl.ai}, or to the directory in {@code DJL_CACHE_DIR}.
 */
public final class Tokenizer implements AutoCloseable {
  /**
   * Text that a lossy encoding would change: runs of spaces, combining marks, supplementary and
   * control characters.
   */
  private static final String PROBE = "Round  trip:\n\té e\u0301 \ud83d\ude00\u0000.";

  /** Text to put before other text; it may be one token or several. */
  private static final String ANCHOR = "-";

  private final TokenizerFiles files;
  private final TokenizerConfig config;
  private final Vocabulary vocabulary;
  private final Set<Integer> special;
  private final TextLimit limit;
  private final NativeTokenizer nativeTokenizer;

  /**
   * Encodes text that follows other text. The same object as the other one if that makes no
   * difference.
   */
  private final NativeTokenizer continuation;

  private final TokenizerJson.Prefix prefix;
  private final int[] textStart;
  private final OptionalInt bos;
  private final OptionalInt eos;
  private final OptionalInt separator;
  private final OptionalInt padding;

  /** The tokens of U+FFFD, which stands for anything that is not text. */
  private final int[] replacement;

  /**
   * Loads a tokenizer from {@code tokenizer.json} and {@code tokenizer_config.json}.
   *
   * @throws TokenizerException naming the file and the problem, if a file cannot be read, is
   *     malformed, or holds a kind of tokenizer that Llama models do not use
   */
  public static Tokenizer load(Path directory) {
    return new Tokenizer(TokenizerFiles.read(directory));
  }

  /**
   * As {@link #load(Path)}, for texts that a model takes whole: a text that certainly has more
   * tokens throws a {@link TextTooLongException}, and costs no time.
   *
   * @param maxTokens the most tokens of a text, such as the model's number of positions
   */
  public static Tokenizer load(Path directory, int maxTokens) {
    return new Tokenizer(TokenizerFiles.read(directory), maxTokens);
  }

  /**
   * A tokenizer from the content of its files.
   *
   * @throws TokenizerException as {@link #load}
   */
  public Tokenizer(TokenizerFiles files) {
    this(files, Integer.MAX_VALUE);
  }

  private Tokenizer(TokenizerFiles files, int maxTokens) {
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
    TokenizerComponents components = json.components();
    TextLimit ownLimit = TextLimit.of(components.growth());
    limit =
        maxTokens == Integer.MAX_VALUE
            ? ownLimit
            : ownLimit.withTokens(maxTokens, json.longestToken(), components.shrinkage());
    if (components.hasRegex()) {
      TokenizerProbe.require(where, json.nativeJson(), components.samples());
    }
    nativeTokenizer = new NativeTokenizer(where, json.nativeJson());
    continuation =
        prefix == TokenizerJson.Prefix.NONE
            ? nativeTokenizer
            : new NativeTokenizer(where, json.continuationJson());
    requireRoundTrip(PROBE, text -> decode(encode(text)));
    // Some tokenizers drop a space at the start of a text, so this test encodes a continuation.
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
          ("sep_token is \"%s\", which is also bos_token, eos_token or pad_token;"
                  + " choose another token, or null for none")
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
          files.where(TokenizerFiles.TOKENIZER),
          "cannot encode and decode a text: " + e.getMessage(),
          e);
    }
    if (!back.equals(text)) {
      close();
      throw new TokenizerException(
          files.where(TokenizerFiles.TOKENIZER),
          "decoding does not restore an encoded text: \"%s\" became \"%s\"".formatted(text, back));
    }
  }

  /**
   * The tokens of a text, without special tokens. An unpaired surrogate, which is not a Unicode
   * character, is encoded as U+FFFD. Some SentencePiece tokenizers drop a space at the start of the
   * text.
   */
  public int[] encode(String text) {
    return encode(nativeTokenizer, text);
  }

  private int[] encode(NativeTokenizer with, String text) {
    requireEncodable(text);
    return text.isEmpty() ? new int[0] : with.encode(Texts.wellFormed(text));
  }

  /**
   * Checks the length of a text, which every method that encodes does.
   *
   * @throws TextTooLongException if the text is too long to be tokenized
   */
  public void requireEncodable(String text) {
    limit.require(text);
  }

  /** The tokens of a text that follows a special token within a sequence. */
  public int[] encodeAfterSpecial(String text) {
    return prefix == TokenizerJson.Prefix.FIRST ? encodeContinuation(text) : encode(text);
  }

  /** The tokens of a text that follows other text. No token spans the boundary. */
  public int[] encodeContinuation(String text) {
    return encode(continuation, text);
  }

  /**
   * The text of tokens that follow other text, such as sampled ones; otherwise as {@link #decode}.
   */
  public String decodeContinuation(int[] tokens) {
    if (prefix == TokenizerJson.Prefix.NONE) {
      return decode(tokens);
    }
    // SentencePiece decoders drop a space at the start of a text, so other text goes before it.
    return decode(join(encode(ANCHOR), tokens)).substring(ANCHOR.length());
  }

  /** The tokens of {@code a} followed by those of {@code b}. */
  public static int[] join(int[] a, int[] b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  /**
   * The text of tokens, without the special ones. Incomplete UTF-8, as in a sequence that was cut
   * off, becomes U+FFFD. An id without a token also becomes U+FFFD: the embedding of a model often
   * has more rows than its tokenizer has tokens, and a model can sample any row.
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

  /** One more than the highest token id: the minimum number of rows of a model's embedding. */
  public int vocabSize() {
    return vocabulary.size();
  }

  /**
   * The token that begins a sequence.
   *
   * @throws TokenizerException if the tokenizer has none
   */
  public int bos() {
    return bos.orElseThrow(() -> without("bos_token"));
  }

  /**
   * The token that ends a sequence.
   *
   * @throws TokenizerException if the tokenizer has none
   */
  public int eos() {
    return eos.orElseThrow(() -> without("eos_token"));
  }

  private TokenizerException without(String role) {
    return new TokenizerException(
        files.where(TokenizerFiles.CONFIG),
        "has no \"" + role + "\"; set it to a special token of tokenizer.json");
  }

  /**
   * Checks that a model's embedding has a row for every token of a text or a dialogue. A token that
   * neither can contain, such as an unused padding token, needs no row.
   *
   * @param rows the model's {@code vocab_size}
   * @throws TokenizerException naming the first token without a row
   */
  public void requireFits(int rows) {
    for (int id = rows; id < vocabSize(); id++) {
      Optional<String> token = vocabulary.token(id);
      if (token.isPresent() && isUsed(id, token.get())) {
        throw new TokenizerException(
            files.where(TokenizerFiles.TOKENIZER),
            "token \"%s\" has id %d, but the model's vocab_size is %d; use the model's own tokenizer"
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

  /** The tokens that begin a plain text: the bos token or none, {@code [0 or 1]}. */
  public int[] textStart() {
    return textStart.clone();
  }

  /**
   * The token between samples that are concatenated to fill a training sequence.
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

  /** The {@link #separator}, if there is one. */
  public OptionalInt optionalSeparator() {
    return separator;
  }

  /** The padding token, if there is one. Millrace packs sequences and does not need it. */
  OptionalInt padding() {
    return padding;
  }

  /** Whether a token is special: no text encodes to it. */
  public boolean isSpecial(int token) {
    return special.contains(token);
  }

  /** The id of a token, by its spelling in the vocabulary. Special tokens are included. */
  public OptionalInt idOf(String token) {
    return vocabulary.id(token);
  }

  /** The Jinja source of the chat template, if there is one. */
  public Optional<String> chatTemplateSource() {
    return config.chatTemplate();
  }

  /** All tokens, special ones included. */
  public Vocabulary vocabulary() {
    return vocabulary;
  }

  /** Origin of the tokenizer, such as a path, for error messages. */
  public String origin() {
    return files.origin();
  }

  /**
   * Writes the files that the tokenizer was read from, byte for byte. Creates the directory if
   * necessary.
   *
   * @throws TokenizerException if a file cannot be written
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
