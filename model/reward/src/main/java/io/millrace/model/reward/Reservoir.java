package io.millrace.model.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/**
 * A uniform sample, of bounded size, of all records ever added (Vitter, "Random sampling with a
 * reservoir", ACM TOMS 11(1), 1985, algorithm R).
 *
 * @param <T> a record
 */
final class Reservoir<T> {

  private final int capacity;
  private final List<T> kept = new ArrayList<>();
  private long seen;

  Reservoir(int capacity) {
    this.capacity = capacity;
  }

  /** Adds a record: with probability capacity / seen it takes a random place of the sample. */
  void add(T item, RandomGenerator random) {
    seen++;
    if (seen <= capacity) {
      kept.add(item);
    } else if (capacity > 0) {
      long place = random.nextLong(seen);
      if (place < kept.size()) {
        kept.set((int) place, item);
      } else if (place < capacity) {
        kept.add(item);
      }
    }
  }

  /**
   * Removes records. Their places stay empty until a later record is drawn for one of them: what is
   * kept is then still a uniform sample of the records that were not removed.
   *
   * @return how many were removed
   */
  int removeIf(Predicate<? super T> removed) {
    int before = kept.size();
    kept.removeIf(removed);
    return before - kept.size();
  }

  /** Draws {@code count} different records at random, or all if the sample has fewer. */
  List<T> sample(int count, RandomGenerator random) {
    int size = kept.size();
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      order[i] = i;
    }
    List<T> sample = new ArrayList<>();
    // The first steps of a Fisher-Yates shuffle.
    for (int i = 0; i < Math.min(count, size); i++) {
      int j = random.nextInt(i, size);
      int chosen = order[j];
      order[j] = order[i];
      order[i] = chosen;
      sample.add(kept.get(chosen));
    }
    return sample;
  }

  int size() {
    return kept.size();
  }

  MixedBatches.Replay<T> state() {
    return new MixedBatches.Replay<>(seen, List.copyOf(kept));
  }

  /** Restores a sample; a smaller capacity keeps its first records. */
  void restore(MixedBatches.Replay<T> state) {
    seen = state.seen();
    kept.clear();
    kept.addAll(state.kept().subList(0, Math.min(capacity, state.kept().size())));
  }
}
