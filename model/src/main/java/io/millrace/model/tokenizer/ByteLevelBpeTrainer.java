package io.millrace.model.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Trains a byte-level BPE vocabulary (Sennrich et al., arXiv 1508.07909, algorithm 1, on bytes as
 * in GPT-2): merges the most frequent pair of neighbours until the vocabulary is full. Ties go to
 * the pair that sorts first, so that the same texts give the same tokenizer.
 */
public final class ByteLevelBpeTrainer {

  /**
   * How the ByteLevel pre-tokenizer of Hugging Face's tokenizers cuts a text: merges cross no cut.
   */
  private static final Pattern WORDS =
      Pattern.compile(
          "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          Pattern.UNICODE_CHARACTER_CLASS);

  private ByteLevelBpeTrainer() {}

  private record Pair(String left, String right) {}

  private static final class Word {
    final List<String> symbols = new ArrayList<>();
    long count;
  }

  /**
   * A tokenizer's vocabulary.
   *
   * @param merges pairs in the order in which they were merged
   */
  record Vocabulary(Map<String, Integer> tokens, List<List<String>> merges) {}

  /**
   * Trains on the texts.
   *
   * @param vocabSize tokens in all: special tokens, 256 bytes, merges
   * @throws IllegalArgumentException where the size leaves no room for the bytes
   */
  public static TrainedTokenizer train(Iterable<String> texts, int vocabSize) {
    int base = SpecialToken.values().length + 256;
    if (vocabSize < base) {
      throw new IllegalArgumentException(
          "a byte-level vocabulary needs %d tokens at least (256 bytes and %d special ones), not %d"
              .formatted(base, SpecialToken.values().length, vocabSize));
    }
    Map<String, Integer> tokens = new LinkedHashMap<>();
    for (SpecialToken token : SpecialToken.values()) {
      tokens.put(token.text(), tokens.size());
    }
    for (int b = 0; b < 256; b++) {
      tokens.put(ByteAlphabet.of(b), tokens.size());
    }
    List<Word> words = words(texts);
    Map<Pair, Long> counts = new HashMap<>();
    for (Word word : words) {
      count(counts, word, word.count);
    }
    List<List<String>> merges = new ArrayList<>();
    while (tokens.size() < vocabSize) {
      Pair best = mostFrequent(counts);
      if (best == null) {
        break;
      }
      merges.add(List.of(best.left(), best.right()));
      tokens.putIfAbsent(best.left() + best.right(), tokens.size());
      for (Word word : words) {
        merge(counts, word, best);
      }
    }
    return new TrainedTokenizer(new Vocabulary(tokens, merges));
  }

  private static List<Word> words(Iterable<String> texts) {
    // Sorted, so that nothing depends on a hash map's order.
    Map<String, Word> words = new TreeMap<>();
    for (String text : texts) {
      Matcher matcher = WORDS.matcher(text);
      while (matcher.find()) {
        words.computeIfAbsent(ByteAlphabet.encode(matcher.group()), ByteLevelBpeTrainer::word)
            .count++;
      }
    }
    return List.copyOf(words.values());
  }

  private static Word word(String encoded) {
    Word word = new Word();
    for (int i = 0; i < encoded.length(); i++) {
      word.symbols.add(encoded.substring(i, i + 1));
    }
    return word;
  }

  private static void count(Map<Pair, Long> counts, Word word, long by) {
    for (int i = 1; i < word.symbols.size(); i++) {
      counts.merge(new Pair(word.symbols.get(i - 1), word.symbols.get(i)), by, Long::sum);
    }
  }

  /** The pair with the highest count, null where no pair occurs twice. */
  private static Pair mostFrequent(Map<Pair, Long> counts) {
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() > 1)
        .max(
            Map.Entry.<Pair, Long>comparingByValue()
                .thenComparing(
                    Map.Entry.comparingByKey(
                        Comparator.comparing(Pair::left).thenComparing(Pair::right).reversed())))
        .map(Map.Entry::getKey)
        .orElse(null);
  }

  private static void merge(Map<Pair, Long> counts, Word word, Pair pair) {
    boolean occurs = false;
    for (int i = 1; i < word.symbols.size(); i++) {
      occurs |=
          word.symbols.get(i - 1).equals(pair.left()) && word.symbols.get(i).equals(pair.right());
    }
    if (!occurs) {
      return;
    }
    count(counts, word, -word.count);
    List<String> merged = new ArrayList<>();
    for (int i = 0; i < word.symbols.size(); i++) {
      if (i + 1 < word.symbols.size()
          && word.symbols.get(i).equals(pair.left())
          && word.symbols.get(i + 1).equals(pair.right())) {
        merged.add(pair.left() + pair.right());
        i++;
      } else {
        merged.add(word.symbols.get(i));
      }
    }
    word.symbols.clear();
    word.symbols.addAll(merged);
    count(counts, word, word.count);
  }
}
