package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.util.Collections;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The latest announced checkpoint of each key, such as each objective's latest reward model.
 *
 * <p>A job without Flink state reads the announcements from the beginning of their topic, including
 * those before the checkpoint that it starts from. So an announcement is ignored when its version
 * is earlier than the known one, or when the store has retired its checkpoint.
 *
 * <pre>{@code
 * var rewardModels =
 *     new LatestAnnouncements<Objective, RewardCheckpoint>(RewardCheckpoint::getUri);
 * rewardModels.offer(announcement.getObjective(), announcement);
 * }</pre>
 *
 * <p>Safe for use by many threads.
 *
 * @param <K> the key, such as an objective or a model's name
 * @param <A> the announcement, or a reference to its checkpoint
 */
public final class LatestAnnouncements<K extends Comparable<K>, A> {
  private final Function<? super A, String> uri;

  // Replaced on every change, so that readers on other threads see one consistent map.
  private volatile NavigableMap<K, A> latest = Collections.emptyNavigableMap();

  /**
   * @param uri gives the URI of an announced checkpoint
   */
  public LatestAnnouncements(Function<? super A, String> uri) {
    this.uri = uri;
  }

  /**
   * Takes an announcement, unless it is earlier than the known one or its checkpoint is retired.
   *
   * @return whether it is now the latest of its key
   */
  public synchronized boolean offer(K key, A announcement) {
    A known = latest.get(key);
    String offered = uri.apply(announcement);
    boolean earlier = known != null && CheckpointStore.isEarlier(offered, uri.apply(known));
    if (earlier || CheckpointStore.isRetired(offered)) {
      return false;
    }
    restore(key, announcement);
    return true;
  }

  /**
   * Makes an announcement the latest of its key without any check: for one from Flink state, or for
   * the checkpoint that a job starts from. Later offers are compared with it, even if its
   * checkpoint is retired.
   */
  public synchronized void restore(K key, A announcement) {
    NavigableMap<K, A> next = new TreeMap<>(latest);
    next.put(key, announcement);
    latest = Collections.unmodifiableNavigableMap(next);
  }

  /** The latest announcement of a key. The store may have retired its checkpoint since. */
  public Optional<A> latest(K key) {
    return Optional.ofNullable(latest.get(key));
  }

  /** The latest announcement of a key, if the store still has its checkpoint now. */
  public Optional<A> available(K key) {
    return latest(key).filter(announcement -> !CheckpointStore.isRetired(uri.apply(announcement)));
  }

  /** The latest announcement of every key, in the order of the keys; it never changes. */
  public NavigableMap<K, A> snapshot() {
    return latest;
  }
}
