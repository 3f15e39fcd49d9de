package io.millrace.connectors.checkpoint.store;

import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Deletes the versions that a {@link Retention} does not keep. */
public final class Retirement {
  private static final Logger LOG = LoggerFactory.getLogger(Retirement.class);

  private final CheckpointStore store;
  private final Retention retention;
  private final Clock clock;
  private final Served served;

  /** The versions of a model that serving uses. */
  @FunctionalInterface
  public interface Served {
    Set<Long> versions(String name) throws IOException;
  }

  /** A retirement for models that are served without verdicts. */
  public Retirement(CheckpointStore store, Retention retention, Clock clock) {
    this(store, retention, clock, _ -> Set.of());
  }

  /**
   * @param served versions that stay, whatever the retention says
   */
  public Retirement(CheckpointStore store, Retention retention, Clock clock, Served served) {
    this.store = store;
    this.retention = retention;
    this.clock = clock;
    this.served = served;
  }

  /**
   * Deletes the versions of one model that need not stay. A failure does not stop publishing: it is
   * logged, and the next version's retirement tries again.
   *
   * @param before only versions below this one are deleted. A Flink checkpoint may still list the
   *     others as not yet committed.
   * @return the deleted versions
   */
  public List<Long> retire(String name, long before) {
    List<Long> retired = new ArrayList<>();
    if (retention.keep() == 0) {
      return retired;
    }
    try {
      List<Long> versions = store.versions(name);
      Set<Long> inUse = versions.size() > retention.keep() ? served.versions(name) : Set.of();
      // The first version stays: all others are compared with it.
      for (int i = 1; i < versions.size() - retention.keep(); i++) {
        long version = versions.get(i);
        if (version < before
            && !inUse.contains(version)
            && !isPinned(name, version)
            && isGraceOver(name, versions.get(i + retention.keep()))) {
          store.retire(name, version);
          retired.add(version);
        }
      }
      store.sweep(name);
    } catch (IOException e) {
      LOG.warn(
          "Cannot delete old versions of {} in {}; the next version tries again: {}",
          name,
          store,
          e.toString());
    }
    if (!retired.isEmpty()) {
      LOG.info("Retired versions {} of {}", retired, name);
    }
    return retired;
  }

  private boolean isPinned(String name, long version) throws IOException {
    if (retention.keepEvery() > 0 && version % retention.keepEvery() == 0) {
      return true;
    }
    for (String pinned : retention.pinned()) {
      if (!pinned.isBlank() && store.isAt(pinned, name, version)) {
        return true;
      }
    }
    return false;
  }

  private boolean isGraceOver(String name, long replacedBy) throws IOException {
    Instant since = store.writtenAt(name, replacedBy);
    return !since.plus(retention.grace()).isAfter(clock.instant());
  }
}
