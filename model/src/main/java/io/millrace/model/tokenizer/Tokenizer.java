package io.millrace.model.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A Hugging Face tokenizer, read from {@code tokenizer.json} and {@code tokenizer_config.json}.
 *
 * <p>What people write never becomes a special token: {@code </s>} in a text is encoded as the four
 * characters it is. Special tokens get into a sequence by their ids alone. Thread-safe.
 */
public final class Tokenizer implements AutoCloseable {

  static final String TOKENIZER = "tokenizer.json";
  static final String CONFIG = "tokenizer_config.json";

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path directory;
  private final byte[] tokenizerFile;
  private final byte[] configFile;
  private final HuggingFaceTokenizer delegate;
  private final JsonNode config;
  private final int vocabSize;

  /** Added tokens by their text; encoding keeps clear of them. */
  private final Map<String, Integer> added = new HashMap<>();

  private final Map<String, Integer> vocabulary = new HashMap<>();
  private final boolean[] special;

  private Tokenizer(Path directory, byte[] tokenizerFile, byte[] configFile) throws IOException {
    this.directory = directory;
    this.tokenizerFile = tokenizerFile;
    this.configFile = configFile;
    JsonNode root = JSON.readTree(tokenizerFile);
    this.config = JSON.readTree(configFile);
    JsonNode vocab = root.path("model").path("vocab");
    if (!vocab.isObject()) {
      throw new TokenizerException(
          directory.resolve(TOKENIZER), "has no model.vocab with a number for each token", null);
    }
    int max = -1;
    for (Map.Entry<String, JsonNode> token : vocab.properties()) {
      vocabulary.put(token.getKey(), token.getValue().asInt(-1));
      max = Math.max(max, token.getValue().asInt(-1));
    }
    for (JsonNode token : root.path("added_tokens")) {
      String content = token.path("content").asText();
      int id = token.path("id").asInt(-1);
      if (content.isEmpty() || id < 0) {
        throw new TokenizerException(
            directory.resolve(TOKENIZER),
            "has an added token without content or id: " + token,
            null);
      }
      added.put(content, id);
      vocabulary.put(content, id);
      max = Math.max(max, id);
    }
    this.vocabSize = max + 1;
    this.special = new boolean[vocabSize];
    for (JsonNode token : root.path("added_tokens")) {
      special[token.path("id").asInt()] = token.path("special").asBoolean();
    }
    this.delegate =
        HuggingFaceTokenizer.newInstance(
            new ByteArrayInputStream(tokenizerFile),
            Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false"));
  }

  /**
   * The tokenizer of a checkpoint directory.
   *
   * @throws TokenizerException where a file is missing or malformed
   */
  public static Tokenizer load(Path directory) {
    byte[] tokenizer = read(directory.resolve(TOKENIZER));
    byte[] config = read(directory.resolve(CONFIG));
    try {
      return new Tokenizer(directory, tokenizer, config);
    } catch (JsonProcessingException e) {
      throw new TokenizerException(directory, "has tokenizer files that are not JSON", e);
    } catch (TokenizerException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw new TokenizerException(
          directory.resolve(TOKENIZER), "cannot be used as a tokenizer: " + e.getMessage(), e);
    }
  }

  private static byte[] read(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new TokenizerException(file, "cannot be read", e);
    }
  }

  /** Writes the files that this tokenizer was read from, byte for byte. */
  public void save(Path directory) throws IOException {
    Files.write(directory.resolve(TOKENIZER), tokenizerFile);
    Files.write(directory.resolve(CONFIG), configFile);
  }

  /** The tokens of a text; none of them special. */
  public int[] encode(String text) {
    List<long[]> pieces = new ArrayList<>();
    int count = 0;
    for (String piece : withoutAddedTokens(text)) {
      long[] ids = delegate.encode(piece, false, false).getIds();
      pieces.add(ids);
      count += ids.length;
    }
    int[] tokens = new int[count];
    int at = 0;
    for (long[] piece : pieces) {
      for (long id : piece) {
        tokens[at++] = (int) id;
      }
    }
    return tokens;
  }

  /** The text in pieces, cut inside every occurrence of an added token so that none is matched. */
  private List<String> withoutAddedTokens(String text) {
    List<String> pieces = new ArrayList<>();
    String rest = text;
    while (!rest.isEmpty()) {
      int first = Integer.MAX_VALUE;
      for (String token : added.keySet()) {
        int at = rest.indexOf(token);
        if (at >= 0) {
          first = Math.min(first, at);
        }
      }
      if (first == Integer.MAX_VALUE) {
        pieces.add(rest);
        return pieces;
      }
      int cut = rest.offsetByCodePoints(first, 1);
      pieces.add(rest.substring(0, cut));
      rest = rest.substring(cut);
    }
    return pieces;
  }

  /** The text of tokens; special ones leave no trace. */
  public String decode(int[] tokens) {
    long[] ids = new long[tokens.length];
    int count = 0;
    for (int token : tokens) {
      if (token < 0 || token >= vocabSize) {
        throw new IllegalArgumentException(
            "token " + token + " is not in the vocabulary of " + vocabSize);
      }
      if (!special[token]) {
        ids[count++] = token;
      }
    }
    return count == 0 ? "" : delegate.decode(Arrays.copyOf(ids, count), false);
  }

  /** One more than the highest token. */
  public int vocabSize() {
    return vocabSize;
  }

  public OptionalInt idOf(String token) {
    Integer id = vocabulary.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** The token that begins a sequence. */
  public int bos() {
    return named("bos_token");
  }

  /** The token that ends a response. */
  public int eos() {
    return named("eos_token");
  }

  /** The template by which dialogues are written, in Jinja, where there is one. */
  Optional<String> chatTemplate() {
    JsonNode template = config.path("chat_template");
    return template.isTextual() ? Optional.of(template.asText()) : Optional.empty();
  }

  Path directory() {
    return directory;
  }

  private int named(String key) {
    JsonNode node = config.path(key);
    String token = node.isObject() ? node.path("content").asText() : node.asText();
    return idOf(token)
        .orElseThrow(
            () ->
                new TokenizerException(
                    directory.resolve(CONFIG),
                    "names no " + key + " of the vocabulary, but '" + token + "'",
                    null));
  }

  @Override
  public void close() {
    delegate.close();
  }
}
