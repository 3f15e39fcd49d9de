package io.millrace.model.reward;

import io.millrace.model.training.RandomStream;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;

/**
 * Batches that keep the sources' ratio, of records that come in any other one.
 *
 * <p>New records wait in a queue for each source. A batch is due as soon as every source has its
 * {@linkplain SourceRatios#quotas quota}, or any has twice its own: what the others then miss is
 * filled up from their replay buffers, each a uniform sample of what was learned from, no record
 * twice in one batch. So
 *
 * <ul>
 *   <li>every new record is in exactly one batch as a fresh one, and no source is ever held back:
 *       one that brings more than its share makes batches come sooner, with replays of the others;
 *   <li>a stream that has the ratio, but not in every stretch of it, is hardly ever filled up;
 *   <li>a queue holds less than twice its quota and all queues less than two batches, without
 *       back-pressure;
 *   <li>the ratio is exact, except while a source has learned from less than it would have to fill
 *       up: the batch is smaller then.
 * </ul>
 *
 * <p>A source that brings most beside its share, n records in all, makes n / quota batches: to
 * replay the others is the price of a ratio that the stream does not have.
 *
 * <p>What a batch draws depends on the seed, the number of the batch and the records so far:
 * written and read, the same records give the same batches.
 *
 * @param <T> a record
 */
public final class MixedBatches<T> {

  private final SourceRatios ratios;
  private final SortedMap<String, Integer> quotas;
  private final int replayCapacity;
  private final long seed;
  private final SortedMap<String, Deque<T>> queues = new TreeMap<>();
  private final SortedMap<String, Reservoir<T>> learned = new TreeMap<>();
  private long batches;

  /**
   * A batch.
   *
   * @param fresh learned from for the first time, by source, each in the order they came
   * @param replayed learned from before
   */
  public record Batch<T>(List<T> fresh, List<T> replayed) {

    /** The fresh ones, then the others. */
    public List<T> all() {
      List<T> all = new ArrayList<>(fresh);
      all.addAll(replayed);
      return all;
    }
  }

  /**
   * Empty queues and buffers.
   *
   * @param batchSize records of a full batch
   * @param replayCapacity records kept of each source to fill up from; a single source needs none
   *     and keeps none
   * @throws IllegalArgumentException where a source has less than one record of a batch
   */
  public MixedBatches(SourceRatios ratios, int batchSize, int replayCapacity, long seed) {
    this.ratios = ratios;
    this.quotas = ratios.quotas(batchSize);
    this.replayCapacity = quotas.size() == 1 ? 0 : replayCapacity;
    this.seed = seed;
  }

  /**
   * Puts a new record in its source's queue.
   *
   * @param source one of the ratios'; records of any other, which a change of the ratios may leave
   *     in a state, go into the next batch on top of it
   */
  public void add(String source, T item) {
    queues.computeIfAbsent(source, _ -> new ArrayDeque<>()).add(item);
  }

  /** Whether every source has filled its quota, or any twice its own. */
  public boolean isDue() {
    return quotas.entrySet().stream().allMatch(quota -> waiting(quota.getKey()) >= quota.getValue())
        || quotas.entrySet().stream()
            .anyMatch(quota -> waiting(quota.getKey()) >= 2 * quota.getValue());
  }

  /** New records that wait for their batch. */
  public int waiting() {
    return queues.values().stream().mapToInt(Deque::size).sum();
  }

  private int waiting(String source) {
    Deque<T> queue = queues.get(source);
    return queue == null ? 0 : queue.size();
  }

  /**
   * The next batch, due or not: a full one where some source has its quota, else everything that
   * waits, in a batch as small as the ratio allows.
   *
   * @throws IllegalStateException where nothing waits
   */
  public Batch<T> take() {
    if (waiting() == 0) {
      throw new IllegalStateException("no record waits to be learned from");
    }
    SplittableRandom random = RandomStream.of(seed, batches);
    Map<String, Integer> wanted = hasQuota() ? quotas : partial();
    List<T> fresh = new ArrayList<>();
    List<T> replayed = new ArrayList<>();
    for (String source : ratios.ratios().keySet()) {
      replayed.addAll(learned(source).sample(wanted.get(source) - waiting(source), random));
    }
    for (Map.Entry<String, Deque<T>> queue : queues.entrySet()) {
      int taken =
          Math.min(queue.getValue().size(), wanted.getOrDefault(queue.getKey(), Integer.MAX_VALUE));
      for (int i = 0; i < taken; i++) {
        T item = queue.getValue().remove();
        fresh.add(item);
        learned(queue.getKey()).add(item, random);
      }
    }
    batches++;
    return new Batch<>(fresh, replayed);
  }

  private boolean hasQuota() {
    return quotas.entrySet().stream()
        .anyMatch(quota -> waiting(quota.getKey()) >= quota.getValue());
  }

  /** The smallest batch of the ratio that takes every record that waits. */
  private Map<String, Integer> partial() {
    double size = 0;
    for (String source : ratios.ratios().keySet()) {
      size = Math.max(size, waiting(source) / ratios.share(source));
    }
    Map<String, Integer> wanted = new TreeMap<>();
    for (String source : ratios.ratios().keySet()) {
      wanted.put(source, Math.max(waiting(source), (int) Math.round(size * ratios.share(source))));
    }
    return wanted;
  }

  private Reservoir<T> learned(String source) {
    return learned.computeIfAbsent(
        source, _ -> new Reservoir<>(ratios.names(source) ? replayCapacity : 0));
  }

  /** Writes queues, replay buffers and the number of batches. */
  public void write(DataOutput out, StateIo.Writer<T> writer) throws IOException {
    out.writeLong(batches);
    StateIo.writeList(
        out,
        queues.entrySet().stream().filter(queue -> !queue.getValue().isEmpty()).toList(),
        (data, queue) -> {
          StateIo.writeText(data, queue.getKey());
          StateIo.writeList(data, List.copyOf(queue.getValue()), writer);
        });
    StateIo.writeList(
        out,
        List.copyOf(learned.entrySet()),
        (data, buffer) -> {
          StateIo.writeText(data, buffer.getKey());
          buffer.getValue().write(data, writer);
        });
  }

  /** Adds what {@link #write} wrote to what is here, which is nothing yet. */
  public void read(DataInput in, StateIo.Reader<T> reader) throws IOException {
    batches = in.readLong();
    StateIo.readList(
        in,
        data -> {
          String source = StateIo.readText(data);
          StateIo.readList(data, reader).forEach(item -> add(source, item));
          return source;
        });
    StateIo.readList(
        in,
        data -> {
          String source = StateIo.readText(data);
          learned(source).read(data, reader);
          return source;
        });
  }
}
