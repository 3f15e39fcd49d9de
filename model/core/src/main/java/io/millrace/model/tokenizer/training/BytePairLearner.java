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
 * Learns byte-pair merges (Sennrich et al., arXiv 1508.07909, section 3.2): again and again the
 * pair of neighbouring symbols that occurs most often becomes one symbol. Counts of pairs are kept
 * up to date where a merge changes them, so that a merge costs only the words it occurs in.
 */
final class BytePairLearner {
  /** Two neighbouring symbols by their ids. */
  record Pair(int left, int right) {}

  /** A pair with the count it had when it was queued, which may have changed since. */
  private record Candidate(Pair pair, long count) {}

  /** How often a pair occurs, and in which words it did at some time. */
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

  /** Of equal counts the pair with the lower ids is first, so that the order is total. */
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

  /** Adds a word, as ids of its symbols, that occurs a number of times. */
  void add(int[] symbols, long count) {
    int word = words.size();
    words.add(symbols);
    counts.add(count);
    for (int i = 0; i + 1 < symbols.length; i++) {
      count(symbols[i], symbols[i + 1], word, count);
    }
  }

  /** The pair that occurs most often, or none if every word is one symbol. */
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

  /** Makes one symbol of every occurrence of a pair, in each word from left to right. */
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
