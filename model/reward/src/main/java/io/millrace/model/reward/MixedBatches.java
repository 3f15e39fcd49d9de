package io.millrace.model.reward;

import io.millrace.model.training.RandomStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Makes batches with a fixed ratio of sources from a stream with any ratio (Llama 2, arXiv
 * 2307.09288, section 3.2.2, mixes its sources of judgments so).
 *
 * <p>Each source has a queue of new records. A batch is due when every queue holds its {@linkplain
 * SourceRatios#quotas quota}, or when any queue holds twice its quota. Sources with too few new
 * records are filled up with replays: records drawn from a uniform sample of those already learned
 * from, none twice in a batch. This has four consequences:
 *
 * <ul>
 *   <li>Every new record is fresh in exactly one batch. No source is held back: a source above its
 *       share makes batches come sooner, with replays of the other sources.
 *   <li>A stream that has the ratio on average needs few replays.
 *   <li>A queue holds less than twice its quota, and all queues together less than two batches,
 *       without back-pressure.
 *   <li>The ratio is exact, except for sources with too few records to replay: their batches are
 *       smaller.
 * </ul>
 *
 * <p>A source that is most above its share, with n records in all, makes n / quota batches. The
 * replays of the other sources are the price of a ratio that the stream does not have.
 *
 * <p>The draws depend on the seed, the number of the batch and the records so far: after {@link
 * #restore} the same records give the same batches.
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
   * @param fresh records to learn from for the first time: by source, then in order of arrival
   * @param replayed records that were learned from before
   */
  public record Batch<T>(List<T> fresh, List<T> replayed) {

    /** Fresh records, then replayed records. */
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
   * @param replayCapacity records of each source that are kept for replays; a single source keeps
   *     none
   * @throws IllegalArgumentException if a source's share of a batch is below one record
   */
  public MixedBatches(SourceRatios ratios, int batchSize, int replayCapacity, long seed) {
    this.ratios = ratios;
    this.quotas = ratios.quotas(batchSize);
    this.replayCapacity = quotas.size() == 1 ? 0 : replayCapacity;
    this.seed = seed;
  }

  /**
   * Adds a new record to its source's queue.
   *
   * @param source a source with a ratio. Records of other sources, which a change of the ratios may
   *     leave in a restored state, are added to the next batch beyond its size.
   */
  public void add(String source, T item) {
    queues.computeIfAbsent(source, _ -> new ArrayDeque<>()).add(item);
  }

  /** Whether every queue holds its quota, or any queue twice its quota. */
  public boolean isDue() {
    return quotas.entrySet().stream().allMatch(quota -> waiting(quota.getKey()) >= quota.getValue())
        || quotas.entrySet().stream()
            .anyMatch(quota -> waiting(quota.getKey()) >= 2 * quota.getValue());
  }

  /** New records that are in no batch yet. */
  public int waiting() {
    return queues.values().stream().mapToInt(Deque::size).sum();
  }

  /** Takes out the new records that match, by source, then in order of arrival. */
  public List<T> takeNew(Predicate<? super T> condition) {
    List<T> taken = new ArrayList<>();
    for (Deque<T> queue : queues.values()) {
      queue.removeIf(item -> condition.test(item) && taken.add(item));
    }
    return taken;
  }

  private int waiting(String source) {
    Deque<T> queue = queues.get(source);
    return queue == null ? 0 : queue.size();
  }

  /**
   * The next batch, even if none is due. It is a full batch if some queue holds its quota.
   * Otherwise it has all new records and is as small as the ratio allows.
   *
   * @throws IllegalStateException if all queues are empty
   */
  public Batch<T> take() {
    if (waiting() == 0) {
      throw new IllegalStateException("no record waits for a batch");
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

  /**
   * Removes records from the queues and from the replay buffers.
   *
   * @return how many were removed
   */
  public int removeIf(Predicate<? super T> removed) {
    int count = takeNew(removed).size();
    for (Reservoir<T> reservoir : learned.values()) {
      count += reservoir.removeIf(removed);
    }
    return count;
  }

  private boolean hasQuota() {
    return quotas.entrySet().stream()
        .anyMatch(quota -> waiting(quota.getKey()) >= quota.getValue());
  }

  /** Records by source of the smallest batch with the ratio that has all new records. */
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

  /**
   * The state of these batches, for {@link #restore}.
   *
   * @param batches batches so far
   * @param queues new records by source, without empty queues
   * @param replays replay buffers by source
   */
  public record State<T>(
      long batches, Map<String, List<T>> queues, Map<String, Replay<T>> replays) {}

  /**
   * The replay buffer of a source.
   *
   * @param seen records that the source had in batches so far
   * @param kept the records to replay, a uniform sample of them
   */
  public record Replay<T>(long seen, List<T> kept) {

    public Replay {
      if (seen < kept.size()) {
        throw new IllegalArgumentException(
            "a replay buffer keeps %d records of %d seen, which is more than all"
                .formatted(kept.size(), seen));
      }
    }
  }

  public State<T> state() {
    Map<String, List<T>> waiting = new TreeMap<>();
    queues.forEach(
        (source, queue) -> {
          if (!queue.isEmpty()) {
            waiting.put(source, List.copyOf(queue));
          }
        });
    Map<String, Replay<T>> replays = new TreeMap<>();
    learned.forEach((source, reservoir) -> replays.put(source, reservoir.state()));
    return new State<>(batches, waiting, replays);
  }

  /** Restores a state into empty batches, with the same ratios or other ones. */
  public void restore(State<T> state) {
    batches = state.batches();
    state.queues().forEach((source, items) -> items.forEach(item -> add(source, item)));
    state.replays().forEach((source, replay) -> learned(source).restore(replay));
  }
}
