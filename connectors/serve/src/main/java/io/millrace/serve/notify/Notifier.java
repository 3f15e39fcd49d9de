package io.millrace.serve.notify;

import io.millrace.connectors.checkpoint.store.UnusableCheckpointException;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Gives one endpoint each version once, and waits until the endpoint has it. On its own thread. */
final class Notifier implements Runnable {

  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration LONGEST_DELAY = Duration.ofSeconds(30);

  private final NotifySettings settings;
  private final NotifySettings.Endpoint endpoint;
  private final SharedCopies copies;
  private final Engine engine;
  private final Consumer<String> progress;

  private VersionFeed<?> feed;

  /** What the endpoint has; null if that is not known. */
  private EngineVersion current;

  private long lastCheck;
  private volatile boolean closed;

  // Guarded by this.
  private final Map<String, Long> skipped = new TreeMap<>();
  private long loaded;
  private boolean upToDate;

  /**
   * @param progress takes a line for each event
   */
  Notifier(
      NotifySettings settings,
      NotifySettings.Endpoint endpoint,
      SharedCopies copies,
      Engine engine,
      Consumer<String> progress) {
    this.settings = settings;
    this.endpoint = endpoint;
    this.copies = copies;
    this.engine = engine;
    this.progress = progress;
  }

  @Override
  public void run() {
    try {
      Backoff backoff = new Backoff(settings.retryDelay());
      while (!closed) {
        try (VersionFeed<?> opened = VersionFeed.open(settings, endpoint)) {
          feed = opened;
          resume();
          while (!closed) {
            follow();
            backoff = new Backoff(settings.retryDelay());
          }
        } catch (IOException | UncheckedIOException e) {
          say("%s; trying again in %s s".formatted(e.getMessage(), backoff.seconds()));
          backoff.sleep();
        }
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  /** Takes up what an earlier process committed. */
  private void resume() {
    if (current == null && feed.committed().isPresent()) {
      copies
          .find(endpoint.name(), feed.committed().getAsLong())
          .ifPresent(
              version -> {
                current = version;
                engine.resume(version);
              });
    }
    lastCheck = System.nanoTime();
  }

  private void follow() throws IOException, InterruptedException {
    Optional<PolicyCheckpoint> newest = feed.newest(POLL);
    count("outdated", feed.takeOutdated());
    if (newest.isPresent()) {
      setUpToDate(false);
      give(newest.get());
    } else {
      setUpToDate(true);
      check();
    }
  }

  private void give(PolicyCheckpoint announcement) throws IOException, InterruptedException {
    String label = EngineVersion.label(announcement.getModel(), announcement.getVersion());
    if (!settings.roots().test(announcement.getUri())) {
      skip(
          "unusable",
          label
              + ": "
              + announcement.getUri()
              + " lies under none of the roots of checkpoints (checkpoints.directory,"
              + " checkpoints.other-roots)");
      return;
    }
    EngineVersion version;
    try {
      version = copies.take(endpoint.name(), announcement);
    } catch (UnusableCheckpointException | NoSuchFileException | IllegalArgumentException e) {
      skip("unusable", label + ": " + e.getMessage());
      return;
    }
    engine.prepare(version);
    long begin = System.nanoTime();
    Outcome outcome = load(version, announcement);
    if (!outcome.has() && outcome.problem() == null) {
      return;
    }
    if (outcome.has()) {
      current = version;
      if (isOutdated(announcement)) {
        return;
      }
      lastCheck = System.nanoTime();
      feed.done(OptionalLong.of(version.version()));
      copies.keep(endpoint.name(), List.of(version));
      synchronized (this) {
        loaded++;
      }
      say(
          "answers with %s after %.1f s"
              .formatted(version.label(), (System.nanoTime() - begin) / 1e9));
      return;
    }
    restore(version);
    skip(
        outcome.problem().kind() == EngineException.Kind.REFUSED ? "refused" : "failed",
        label + ": " + outcome.problem().getMessage());
  }

  /**
   * What became of a version.
   *
   * @param has whether the endpoint answers with it
   * @param problem why it does not; null if nobody knows
   */
  private record Outcome(boolean has, EngineException problem) {
    static final Outcome HAS = new Outcome(true, null);

    /** A newer version is announced, or the notifier ends. */
    static final Outcome LEFT = new Outcome(false, null);
  }

  /** A version that did not load may have taken the place of the one before. */
  private void restore(EngineVersion failed) throws InterruptedException {
    if (current == null || !engine.losesVersion(failed)) {
      return;
    }
    try {
      engine.load(current);
      say("has %s again".formatted(current.label()));
    } catch (EngineException e) {
      say("does not load %s again: %s".formatted(current.label(), e.getMessage()));
    }
  }

  /**
   * Has the endpoint load a version, and waits until it answers with it.
   *
   * @param announcement of the version; null while the endpoint is given again what it had
   */
  private Outcome load(EngineVersion version, PolicyCheckpoint announcement)
      throws IOException, InterruptedException {
    Backoff backoff = new Backoff(settings.retryDelay());
    int failures = 0;
    int silences = 0;
    while (!closed && !isOutdated(announcement)) {
      try {
        if (!engine.has(version)) {
          say("loading %s from %s".formatted(version.label(), version.enginePath()));
          engine.load(version);
          awaitAnswers(version);
        }
        return Outcome.HAS;
      } catch (EngineException e) {
        if (e.kind() == EngineException.Kind.REFUSED) {
          return new Outcome(false, e);
        }
        boolean silent = e.kind() == EngineException.Kind.UNREACHABLE;
        if (!silent && ++failures > settings.retries()) {
          return new Outcome(false, e);
        }
        // Of an endpoint that is down the first line, and then ever fewer: 1, 2, 4, 8.
        if (!silent || Integer.bitCount(++silences) == 1) {
          say("%s; trying again in %s s".formatted(e.getMessage(), backoff.seconds()));
        }
        backoff.sleep();
      }
    }
    return Outcome.LEFT;
  }

  private void awaitAnswers(EngineVersion version) throws EngineException, InterruptedException {
    long end = System.nanoTime() + settings.loadTimeout().toNanos();
    while (!engine.has(version)) {
      if (closed) {
        return;
      }
      if (System.nanoTime() > end) {
        throw new EngineException(
            EngineException.Kind.FAILED,
            "%s accepted %s and does not answer with it after %d s"
                .formatted(
                    endpoint.address(), version.label(), settings.loadTimeout().toSeconds()));
      }
      TimeUnit.MILLISECONDS.sleep(POLL.toMillis());
    }
  }

  private boolean isOutdated(PolicyCheckpoint announcement) throws IOException {
    return announcement != null
        && feed.newest(Duration.ZERO)
            .filter(newest -> newest.getVersion() == announcement.getVersion())
            .isEmpty();
  }

  /** An endpoint that was started again has the weights that it starts with. */
  private void check() throws IOException, InterruptedException {
    if (current == null || System.nanoTime() - lastCheck < settings.checkEvery().toNanos()) {
      return;
    }
    lastCheck = System.nanoTime();
    try {
      if (engine.has(current)) {
        return;
      }
    } catch (EngineException e) {
      say(e.getMessage());
      return;
    }
    say("no longer has %s".formatted(current.label()));
    EngineVersion wanted = current;
    Outcome outcome = load(wanted, null);
    if (outcome.has()) {
      say("answers with %s again".formatted(wanted.label()));
    } else if (outcome.problem() != null) {
      say("does not load %s again: %s".formatted(wanted.label(), outcome.problem().getMessage()));
    }
  }

  private void skip(String reason, String message) throws IOException {
    count(reason, 1);
    say("skipped " + message);
    feed.done(current == null ? OptionalLong.empty() : OptionalLong.of(current.version()));
    copies.keep(endpoint.name(), current == null ? List.of() : List.of(current));
  }

  private synchronized void count(String reason, long versions) {
    if (versions > 0) {
      skipped.merge(reason, versions, Long::sum);
    }
  }

  private synchronized void setUpToDate(boolean value) {
    upToDate = value;
  }

  /** Whether the endpoint has, or has refused, all that is announced. */
  synchronized boolean isUpToDate() {
    return upToDate;
  }

  /** Versions that were not given to the endpoint, by reason. */
  synchronized Map<String, Long> skipped() {
    return Map.copyOf(skipped);
  }

  /** Versions that the endpoint loaded. */
  synchronized long loaded() {
    return loaded;
  }

  private void say(String line) {
    progress.accept(Printable.line(endpoint.name() + ": " + line));
  }

  void close() {
    closed = true;
  }

  /** Delays that double. */
  private final class Backoff {
    private Duration delay;

    Backoff(Duration first) {
      this.delay = first;
    }

    String seconds() {
      return "%.1f".formatted(delay.toMillis() / 1e3);
    }

    /** Ends early with the notifier. */
    void sleep() throws InterruptedException {
      long end = System.nanoTime() + delay.toNanos();
      while (!closed && System.nanoTime() < end) {
        TimeUnit.NANOSECONDS.sleep(Math.min(POLL.toNanos(), end - System.nanoTime()));
      }
      Duration twice = delay.multipliedBy(2);
      delay = twice.compareTo(LONGEST_DELAY) > 0 ? LONGEST_DELAY : twice;
    }
  }
}
