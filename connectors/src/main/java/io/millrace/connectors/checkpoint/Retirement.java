package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Deletes the versions that a {@link Retention} lets go of. */
final class Retirement {
  private static final Logger LOG = LoggerFactory.getLogger(Retirement.class);

  private final CheckpointStore store;
  private final Retention retention;
  private final Clock clock;
  private final Served served;

  /** Which versions of a model serving goes by. */
  interface Served {
    Set<Long> versions(String name) throws IOException;
  }

  /** Where serving goes by no verdicts. */
  Retirement(CheckpointStore store, Retention retention, Clock clock) {
    this(store, retention, clock, _ -> Set.of());
  }

  /**
   * @param served versions that stay, whatever the retention says
   */
  Retirement(CheckpointStore store, Retention retention, Clock clock, Served served) {
    this.store = store;
    this.retention = retention;
    this.clock = clock;
    this.served = served;
  }

  /**
   * Deletes what may go of one model. Storage that cannot be freed stops no publishing: it is told
   * in the log, and tried again with the next version.
   *
   * @param before this version and later ones may still be named by a Flink checkpoint that a job
   *     resumes from, as not yet committed
   * @return the versions that are gone now
   */
  List<Long> retire(String name, long before) {
    List<Long> retired = new ArrayList<>();
    if (retention.keep() == 0) {
      return retired;
    }
    try {
      List<Long> versions = store.versions(name);
      Set<Long> stay = versions.size() > retention.keep() ? served.versions(name) : Set.of();
      // The first is what all others are compared with.
      for (int i = 1; i < versions.size() - retention.keep(); i++) {
        long version = versions.get(i);
        if (version < before
            && !stay.contains(version)
            && !isPinned(name, version)
            && isPast(name, versions.get(i + retention.keep()))) {
          store.retire(name, version);
          retired.add(version);
        }
      }
      store.sweep(name);
    } catch (IOException e) {
      LOG.warn("old versions of {} cannot be deleted: {}", name, e.toString());
    }
    if (!retired.isEmpty()) {
      LOG.info("retired versions {} of {}", retired, name);
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

  private boolean isPast(String name, long pushedOutBy) throws IOException {
    Instant since = store.writtenAt(name, pushedOutBy);
    return !since.plus(retention.grace()).isAfter(clock.instant());
  }
}
