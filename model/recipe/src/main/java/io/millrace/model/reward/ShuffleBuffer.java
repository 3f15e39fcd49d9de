package io.millrace.model.reward;

import io.millrace.model.training.RandomStream;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;

/**
 * Puts records in random order in bounded memory: one leaves, drawn at random, for each that comes
 * once the buffer is full. Of a stream no longer than the buffer that is a uniform shuffle; of a
 * longer one each record is as likely to leave sooner as any other that is here.
 *
 * <p>What is drawn depends on the seed and the number of draws so far: written and read, the same
 * records leave in the same order.
 *
 * @param <T> a record
 */
public final class ShuffleBuffer<T> {

  private final int capacity;
  private final long seed;
  private final List<T> kept = new ArrayList<>();
  private long drawn;

  /**
   * An empty buffer.
   *
   * @param capacity records kept back; with 0 they leave in the order in which they come
   */
  public ShuffleBuffer(int capacity, long seed) {
    if (capacity < 0) {
      throw new IllegalArgumentException("capacity must be at least 0, is " + capacity);
    }
    this.capacity = capacity;
    this.seed = seed;
  }

  /** Puts a record in. */
  public void add(T item) {
    kept.add(item);
  }

  /** Whether there are more than are kept back. */
  public boolean isDue() {
    return kept.size() > capacity;
  }

  /** Records that are here. */
  public int waiting() {
    return kept.size();
  }

  /**
   * Takes one out, due or not.
   *
   * @throws NoSuchElementException where there is none
   */
  public T take() {
    if (kept.isEmpty()) {
      throw new NoSuchElementException("no record waits in the shuffle buffer");
    }
    int place = RandomStream.of(seed, drawn).nextInt(kept.size());
    drawn++;
    T last = kept.removeLast();
    return place == kept.size() ? last : kept.set(place, last);
  }

  /** Writes what is here and the number of draws. */
  public void write(DataOutput out, StateIo.Writer<T> writer) throws IOException {
    out.writeLong(drawn);
    StateIo.writeList(out, kept, writer);
  }

  /** Adds what {@link #write} wrote to what is here, which is nothing yet. */
  public void read(DataInput in, StateIo.Reader<T> reader) throws IOException {
    drawn = in.readLong();
    kept.addAll(StateIo.readList(in, reader));
  }
}
