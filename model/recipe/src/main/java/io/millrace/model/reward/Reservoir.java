package io.millrace.model.reward;

import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * A uniform sample, of bounded size, of everything that was ever put in (Vitter, "Random sampling
 * with a reservoir", ACM TOMS 11(1), 1985, algorithm R).
 *
 * @param <T> what is kept
 */
final class Reservoir<T> {

  private final int capacity;
  private final List<T> kept = new ArrayList<>();
  private long seen;

  Reservoir(int capacity) {
    this.capacity = capacity;
  }

  /** Puts one in: it is kept with probability capacity / seen, in the place of any other. */
  void add(T item, RandomGenerator random) {
    seen++;
    if (kept.size() < capacity) {
      kept.add(item);
    } else if (capacity > 0) {
      long place = random.nextLong(seen);
      if (place < capacity) {
        kept.set((int) place, item);
      }
    }
  }

  /** That many different ones at random, or all where there are fewer. */
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

  void write(DataOutput out, StateIo.Writer<T> writer) throws IOException {
    out.writeLong(seen);
    StateIo.writeList(out, kept, writer);
  }

  /** Takes what {@link #write} wrote, or as much of it as the capacity allows. */
  void read(DataInput in, StateIo.Reader<T> reader) throws IOException {
    seen = in.readLong();
    List<T> written = StateIo.readList(in, reader);
    if (seen < written.size()) {
      throw new IOException(
          "not the state of a replay buffer: %d kept of %d seen".formatted(written.size(), seen));
    }
    kept.clear();
    kept.addAll(written.subList(0, Math.min(capacity, written.size())));
  }
}
