package io.millrace.model.reward;

import io.millrace.model.training.RandomStream;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Predicate;

/**
 * Puts records in random order in bounded memory. Once the buffer is full, every new record makes
 * one record leave, drawn at random. A stream that fits into the buffer is shuffled uniformly. In a
 * longer stream, all records in the buffer are equally likely to leave next.
 *
 * <p>The draws depend on the seed and the number of draws so far: after {@link #restore} the same
 * records leave in the same order.
 *
 * @param <T> a record
 */
public final class ShuffleBuffer<T> {

  private final int capacity;
  private final long seed;
  private final List<T> records = new ArrayList<>();
  private long draws;

  /**
   * An empty buffer.
   *
   * @param capacity records that the buffer keeps back; 0 keeps the order of the input
   */
  public ShuffleBuffer(int capacity, long seed) {
    if (capacity < 0) {
      throw new IllegalArgumentException("capacity must be at least 0, is " + capacity);
    }
    this.capacity = capacity;
    this.seed = seed;
  }

  public void add(T record) {
    records.add(record);
  }

  /** Whether the buffer holds more records than it keeps back. */
  public boolean isDue() {
    return records.size() > capacity;
  }

  /** Records in the buffer. */
  public int waiting() {
    return records.size();
  }

  /**
   * Takes a random record out, even if none is due.
   *
   * @throws NoSuchElementException if the buffer is empty
   */
  public T take() {
    if (records.isEmpty()) {
      throw new NoSuchElementException("the shuffle buffer is empty");
    }
    int place = RandomStream.of(seed, draws).nextInt(records.size());
    draws++;
    T last = records.removeLast();
    return place == records.size() ? last : records.set(place, last);
  }

  /** Takes out the records that match, without a draw. */
  public List<T> takeIf(Predicate<? super T> condition) {
    List<T> taken = new ArrayList<>();
    records.removeIf(record -> condition.test(record) && taken.add(record));
    return taken;
  }

  /**
   * Removes records. The others stay in their order.
   *
   * @return how many were removed
   */
  public int removeIf(Predicate<? super T> removed) {
    return takeIf(removed).size();
  }

  /** Records taken out so far. */
  public long draws() {
    return draws;
  }

  /** The records in the buffer, in the order that {@link #restore} needs. */
  public List<T> records() {
    return List.copyOf(records);
  }

  /** Replaces the content by an earlier {@link #draws} and {@link #records}. */
  public void restore(long draws, List<T> records) {
    this.draws = draws;
    this.records.clear();
    this.records.addAll(records);
  }
}
