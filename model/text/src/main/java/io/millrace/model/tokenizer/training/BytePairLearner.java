package io.millrace.model.tokenizer.training;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Learns byte-pair merges (Sennrich et al., arXiv 1508.07909, section 3.2). Each step merges the
 * most frequent pair of neighbouring symbols into one symbol. A merge updates only the counts of
 * the words in which the pair occurs.
 */
final class BytePairLearner {
  /** Two neighbouring symbols, by id. */
  record Pair(int left, int right) {}

  /** A pair with its count at the time it was queued. The count can have changed since. */
  private record Candidate(Pair pair, long count) {}

  /** The count of a pair, and the words in which it occurs or used to occur. */
  private static final class Occurrences {
    private long count;
    private int[] words = new int[4];
    private int size;

    private void add(int word, long times) {
      count += times;
      if (size > 0 && words[size - 1] == word) {
        return;
      }
      if (size == words.length) {
        words = Arrays.copyOf(words, 2 * size);
      }
      words[size++] = word;
    }
  }

  /**
   * The most frequent pair first. Among pairs of equal count, the pair with the lower ids comes
   * first.
   */
  private static final Comparator<Candidate> BEST_FIRST =
      Comparator.comparingLong(Candidate::count)
          .reversed()
          .thenComparingInt(candidate -> candidate.pair().left())
          .thenComparingInt(candidate -> candidate.pair().right());

  private final List<int[]> words = new ArrayList<>();
  private final List<Long> counts = new ArrayList<>();
  private final Map<Pair, Occurrences> pairs = new HashMap<>();
  private final PriorityQueue<Candidate> queue = new PriorityQueue<>(BEST_FIRST);
  private final Set<Pair> grown = new HashSet<>();

  /**
   * Adds a word.
   *
   * @param symbols ids of its symbols
   * @param count how often the word occurs
   */
  void add(int[] symbols, long count) {
    int word = words.size();
    words.add(symbols);
    counts.add(count);
    for (int i = 0; i + 1 < symbols.length; i++) {
      count(symbols[i], symbols[i + 1], word, count);
    }
  }

  /** The most frequent pair; empty if every word is one symbol. */
  Optional<Pair> best() {
    queueGrown();
    while (!queue.isEmpty()) {
      Candidate candidate = queue.peek();
      Occurrences occurrences = pairs.get(candidate.pair());
      long count = occurrences == null ? 0 : occurrences.count;
      if (count == candidate.count()) {
        return Optional.of(candidate.pair());
      }
      queue.poll();
      if (count > 0) {
        queue.add(new Candidate(candidate.pair(), count));
      }
    }
    return Optional.empty();
  }

  /** Replaces every occurrence of a pair by a symbol, in each word from left to right. */
  void merge(Pair pair, int symbol) {
    Occurrences occurrences = pairs.get(pair);
    int[] touched = Arrays.copyOf(occurrences.words, occurrences.size);
    for (int word : touched) {
      merge(word, pair, symbol);
    }
    pairs.remove(pair);
  }

  private void merge(int word, Pair pair, int symbol) {
    int[] before = words.get(word);
    int[] after = new int[before.length];
    boolean[] merged = new boolean[before.length];
    boolean[] fresh = new boolean[before.length];
    int length = 0;
    for (int i = 0; i < before.length; i++) {
      if (i + 1 < before.length && before[i] == pair.left() && before[i + 1] == pair.right()) {
        merged[i] = true;
        merged[i + 1] = true;
        fresh[length] = true;
        after[length++] = symbol;
        i++;
      } else {
        after[length++] = before[i];
      }
    }
    if (length == before.length) {
      return;
    }
    after = Arrays.copyOf(after, length);
    words.set(word, after);
    long count = counts.get(word);
    for (int i = 0; i + 1 < before.length; i++) {
      if (merged[i] || merged[i + 1]) {
        pairs.get(new Pair(before[i], before[i + 1])).count -= count;
      }
    }
    for (int i = 0; i + 1 < length; i++) {
      if (fresh[i] || fresh[i + 1]) {
        count(after[i], after[i + 1], word, count);
      }
    }
  }

  private void count(int left, int right, int word, long times) {
    Pair pair = new Pair(left, right);
    pairs.computeIfAbsent(pair, p -> new Occurrences()).add(word, times);
    grown.add(pair);
  }

  private void queueGrown() {
    for (Pair pair : grown) {
      Occurrences occurrences = pairs.get(pair);
      if (occurrences != null && occurrences.count > 0) {
        queue.add(new Candidate(pair, occurrences.count));
      }
    }
    grown.clear();
  }
}
