package io.millrace.jobs.rollout;

import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Limits how many rollouts of one subtask wait for PPO. A version's announcement reports how many
 * rollouts PPO has consumed; all rollouts emitted since then wait. The limit applies as soon as PPO
 * exists: it has announced a version, or its consumer group has an offset.
 *
 * <p>The task thread calls all methods but {@link #look}.
 */
final class SamplingPace {

  private static final Logger LOG = LoggerFactory.getLogger(SamplingPace.class);

  /** Time between two looks for PPO. */
  static final Duration BETWEEN_LOOKS = Duration.ofSeconds(5);

  /** Shortest time without a new version after which PPO may lack rollouts. */
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  /** Transaction markers of one sampling subtask that may stand behind the last rollout. */
  private static final int MARKERS = 8;

  /** Finds how many rollouts PPO has not read; empty if it never read any. */
  interface Lookup {
    OptionalLong lag() throws IOException;
  }

  private final int subtasks;
  private final double perVersion;
  private final double limit;
  private final Lookup lookup;
  private final LongSupplier nanoTime;

  // State.
  private double waiting;
  private long consumed;

  /** Rollouts consumed, by version, of versions that no response began with. */
  private final LinkedHashMap<String, Long> announced = new LinkedHashMap<>();

  /** Whether PPO exists; once seen, it stays so. */
  private volatile boolean found;

  private volatile boolean lookWanted;
  private volatile long lookedAt;
  private volatile boolean looked;
  private volatile boolean caughtUp;

  private long progressAt;
  private long longestVersion = PATIENCE.toNanos() / 3;
  private long relieved;

  /**
   * @param subtasks that sample: each takes its share of the limit
   * @param nanoTime the time, in nanoseconds
   */
  SamplingPace(RolloutDemand demand, int subtasks, Lookup lookup, LongSupplier nanoTime) {
    this.subtasks = subtasks;
    this.perVersion = demand.rolloutsPerVersion() / subtasks;
    this.limit = demand.maxAhead() / subtasks;
    this.lookup = lookup;
    this.nanoTime = nanoTime;
    this.progressAt = nanoTime.getAsLong();
  }

  /**
   * Whether another response may begin. Where that depends on whether PPO exists, the answer is no
   * until {@link #look} has found out.
   *
   * @param inFlight responses that are not emitted yet
   */
  boolean hasRoom(int inFlight) {
    if (waiting + inFlight < limit) {
      return true;
    }
    boolean recent = looked && nanoTime.getAsLong() - lookedAt < BETWEEN_LOOKS.toNanos();
    if (found && !isOverdue()) {
      return false;
    }
    if (!recent) {
      lookWanted = true;
      return false;
    }
    if (found && caughtUp) {
      relieve();
    }
    return !found || waiting + inFlight < limit;
  }

  /** Whether PPO has announced no version for too long. */
  private boolean isOverdue() {
    return nanoTime.getAsLong() - progressAt >= 3 * longestVersion;
  }

  /**
   * Makes room for one version's rollouts. PPO has read all there are and publishes no version:
   * some rollouts were refused or lost, and are in no count of PPO's.
   */
  private void relieve() {
    progressAt = nanoTime.getAsLong();
    waiting = Math.max(0, waiting - perVersion);
    relieved++;
    LOG.warn(
        "ppo has read all rollouts and published no version for long; some of them never counted."
            + " {} more are sampled (see dead-letters)",
        Math.round(perVersion));
  }

  boolean isLookWanted() {
    return lookWanted;
  }

  /** Looks for PPO; on the sampling thread, since it waits for Kafka. */
  void look() {
    lookWanted = false;
    try {
      OptionalLong lag = lookup.lag();
      caughtUp = lag.isPresent() && lag.getAsLong() <= (long) MARKERS * subtasks;
      if (lag.isPresent()) {
        found = true;
      }
    } catch (IOException e) {
      caughtUp = false;
      LOG.warn("Cannot see how far ppo is: {}", e.getMessage());
    }
    lookedAt = nanoTime.getAsLong();
    looked = true;
  }

  /** Counts an emitted rollout. */
  void emitted() {
    waiting++;
  }

  /**
   * Takes a version that PPO announced. It makes room once responses begin with it.
   *
   * @param uri of the version
   * @param total rollouts that PPO has consumed so far
   */
  void announced(String uri, long total) {
    found = true;
    announced.put(uri, total);
  }

  /**
   * Makes room for the rollouts that PPO has consumed.
   *
   * @param uri of the policy with which responses begin
   */
  void using(String uri) {
    Long total = announced.get(uri);
    if (total == null) {
      return;
    }
    announced.clear();
    long now = nanoTime.getAsLong();
    longestVersion = Math.max(longestVersion, now - progressAt);
    progressAt = now;
    // A lower total is that of a new run, which reads all rollouts again.
    waiting = waitingAfter(total);
    consumed = total;
  }

  private double waitingAfter(long total) {
    return Math.max(0, waiting - Math.max(0, total - consumed) / (double) subtasks);
  }

  /** The state; a restored subtask begins with the latest version. */
  record State(double waiting, long consumed) {}

  State state() {
    long latest = announced.isEmpty() ? consumed : announced.lastEntry().getValue();
    return new State(waitingAfter(latest), latest);
  }

  /** Rollouts that wait for PPO. */
  double waiting() {
    return waiting;
  }

  /** How often the pace made room without a version of PPO's. */
  long relieved() {
    return relieved;
  }

  /** Adds the state of a subtask. */
  void restore(double waiting, long consumed) {
    this.waiting += waiting;
    this.consumed = Math.max(this.consumed, consumed);
  }
}
