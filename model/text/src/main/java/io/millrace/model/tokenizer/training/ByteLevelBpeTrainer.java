package io.millrace.model.tokenizer.training;

import io.millrace.model.tokenizer.ByteAlphabet;
import io.millrace.model.tokenizer.Texts;
import io.millrace.model.tokenizer.training.BytePairLearner.Pair;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Trains a byte-level byte-pair encoding as in GPT-2. GPT-2's pattern splits text into words, and
 * merges are learned within words over their UTF-8 bytes. The order of the corpus does not matter:
 * among pairs of equal count, the one with the lower ids is merged.
 */
public final class ByteLevelBpeTrainer {
  /** Size of the smallest vocabulary: all bytes and the special tokens. */
  public static final int MIN_VOCABULARY = 256 + TrainedTokenizer.SPECIAL_TOKENS.size();

  /** The words of a byte-level pre-tokenizer with {@code use_regex}. */
  private static final Pattern WORD =
      Pattern.compile(
          "'(?:s|t|re|ve|m|ll|d)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          Pattern.UNICODE_CHARACTER_CLASS);

  private ByteLevelBpeTrainer() {}

  /**
   * Trains a tokenizer on a corpus.
   *
   * @param corpus texts, in any order
   * @param vocabularySize maximum number of tokens, special ones and bytes included. There are
   *     fewer if every word of the corpus becomes one token earlier
   * @throws IllegalArgumentException if the size is below {@link #MIN_VOCABULARY} or the corpus has
   *     no text
   */
  public static TrainedTokenizer train(Iterable<String> corpus, int vocabularySize) {
    return train(words(corpus), vocabularySize);
  }

  /**
   * Trains a tokenizer for plain English, on the words of {@code plain-english.tsv}: short
   * questions and answers in Llama 2-Chat's form.
   *
   * @param vocabularySize as in {@link #train(Iterable, int)}
   */
  public static TrainedTokenizer plainEnglish(int vocabularySize) {
    Map<String, Long> words = new LinkedHashMap<>();
    try (InputStream in = ByteLevelBpeTrainer.class.getResourceAsStream("plain-english.tsv")) {
      new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .map(line -> line.split("\t", 2))
          .forEach(line -> words.put(line[1], Long.valueOf(line[0])));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return train(words, vocabularySize);
  }

  private static TrainedTokenizer train(Map<String, Long> words, int vocabularySize) {
    if (vocabularySize < MIN_VOCABULARY) {
      throw new IllegalArgumentException(
          "a vocabulary of %d tokens is too small: 256 bytes and %d special tokens need %d"
              .formatted(vocabularySize, TrainedTokenizer.SPECIAL_TOKENS.size(), MIN_VOCABULARY));
    }
    List<String> tokens = new ArrayList<>(TrainedTokenizer.SPECIAL_TOKENS);
    for (char character : ByteAlphabet.sorted()) {
      tokens.add(String.valueOf(character));
    }
    Map<String, Integer> ids = new HashMap<>();
    tokens.forEach(token -> ids.put(token, ids.size()));
    BytePairLearner learner = learner(words, ids);

    List<String> merges = new ArrayList<>();
    while (tokens.size() < vocabularySize) {
      Optional<Pair> best = learner.best();
      if (best.isEmpty()) {
        break;
      }
      Pair pair = best.get();
      String left = tokens.get(pair.left());
      String right = tokens.get(pair.right());
      // The merged token is always new. Whole symbols merge the same way in every word, so no two
      // pairs spell the same token.
      learner.merge(pair, tokens.size());
      tokens.add(left + right);
      merges.add(left + " " + right);
    }
    return new TrainedTokenizer(tokens, merges);
  }

  private static Map<String, Long> words(Iterable<String> corpus) {
    Map<String, Long> words = new LinkedHashMap<>();
    for (String text : corpus) {
      Matcher matcher = WORD.matcher(Texts.wellFormed(text));
      while (matcher.find()) {
        words.merge(matcher.group(), 1L, Long::sum);
      }
    }
    if (words.isEmpty()) {
      throw new IllegalArgumentException(
          "the corpus has no text; give it at least one word to learn merges from");
    }
    return words;
  }

  private static BytePairLearner learner(Map<String, Long> words, Map<String, Integer> ids) {
    BytePairLearner learner = new BytePairLearner();
    words.forEach(
        (word, count) -> {
          String spelled = ByteAlphabet.spell(word);
          int[] symbols = spelled.chars().map(c -> ids.get(String.valueOf((char) c))).toArray();
          learner.add(symbols, count);
        });
    return learner;
  }
}
