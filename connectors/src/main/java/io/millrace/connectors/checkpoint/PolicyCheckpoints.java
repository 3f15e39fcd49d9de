package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands a serving process each new version of a policy, once, in order, verified and copied to this
 * machine, and never a partial one.
 *
 * <pre>{@code
 * try (PolicyCheckpoints policies =
 *     PolicyCheckpoints.builder()
 *         .kafka(kafka)
 *         .model("policy")
 *         .directory(Path.of("/var/lib/serving/policies"))
 *         .watch(policy -> engine.load(policy.directory()))) {
 *   …
 * }
 * }</pre>
 *
 * <p>A process that starts is given the latest version, then all that follow; {@link
 * Builder#skipOutdated} leaves out those that have a successor by the time the listener is ready. A
 * version whose files are missing, since it was retired before this process came to it, or not what
 * was announced is logged and left out; the last good one stays until the next.
 *
 * <p>With {@link Builder#promotedOnly} it is given the versions that the job evaluation promotes in
 * place of all, and an earlier one again where that job rolls back to it.
 */
public final class PolicyCheckpoints implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PolicyCheckpoints.class);
  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration RETRY = Duration.ofSeconds(2);

  /** A store of another machine may not answer for a while. */
  private static final int ATTEMPTS = 5;

  private final Builder settings;
  private final Consumer<? super PolicyVersion> listener;
  private final Thread thread;
  private final Deque<Path> copies = new ArrayDeque<>();
  private long handed;
  private volatile boolean closed;

  private PolicyCheckpoints(Builder settings, Consumer<? super PolicyVersion> listener) {
    this.settings = settings;
    this.listener = listener;
    this.thread = new Thread(this::run, "policy checkpoints of " + settings.model);
    thread.setDaemon(true);
    thread.start();
  }

  public static Builder builder() {
    return new Builder();
  }

  /** Where versions are announced, and where their copies go. */
  public static final class Builder {
    private KafkaSettings kafka;
    private String model = "policy";
    private Path directory;
    private int keep = 2;
    private boolean skipOutdated;
    private boolean promotedOnly;

    private Builder() {}

    /** The broker and topic prefix of the announcements. Required. */
    public Builder kafka(KafkaSettings settings) {
      this.kafka = Objects.requireNonNull(settings, "kafka");
      return this;
    }

    /** The model's name; "policy" unless set. */
    public Builder model(String name) {
      this.model = Objects.requireNonNull(name, "model");
      return this;
    }

    /** Where copies are kept, one directory a version. Required. */
    public Builder directory(Path copies) {
      this.directory = Objects.requireNonNull(copies, "directory");
      return this;
    }

    /**
     * How many copies are kept, the newest ones; 2 unless set, so that the version before is still
     * there while the new one is loaded.
     */
    public Builder keep(int copies) {
      if (copies < 1) {
        throw new IllegalArgumentException("keep must be at least 1, not " + copies);
      }
      this.keep = copies;
      return this;
    }

    /** Hands on only the latest of the versions that wait while the listener is busy. */
    public Builder skipOutdated() {
      this.skipOutdated = true;
      return this;
    }

    /**
     * Follows the topic promotions: what is handed on is what the last verdict says is to be
     * served. Of the announcement only model, version, place, digest, metrics and time are known
     * then.
     */
    public Builder promotedOnly() {
      this.promotedOnly = true;
      return this;
    }

    /**
     * Begins to watch, on a thread of its own, which also calls the listener.
     *
     * @throws IllegalStateException naming the property that is missing
     */
    public PolicyCheckpoints watch(Consumer<? super PolicyVersion> listener) {
      requireSet(kafka, "kafka");
      requireSet(directory, "directory");
      return new PolicyCheckpoints(this, Objects.requireNonNull(listener, "listener"));
    }

    private static void requireSet(Object value, String property) {
      if (value == null) {
        throw new IllegalStateException("set " + property + " before watching");
      }
    }
  }

  private void run() {
    if (settings.promotedOnly) {
      follow(Topic.PROMOTIONS, PolicyCheckpoints::toServe);
    } else {
      follow(Topic.POLICY_CHECKPOINTS, Optional::of);
    }
  }

  private static Optional<PolicyCheckpoint> toServe(Promotion promotion) {
    return promotion.getVersion() == 0
        ? Optional.empty()
        : Optional.of(
            PolicyCheckpoint.newBuilder()
                .setModel(promotion.getModel())
                .setVersion(promotion.getVersion())
                .setUri(promotion.getUri())
                .setManifestSha256(promotion.getManifestSha256())
                .setIteration(0)
                .setStep(0)
                .setMetrics(
                    promotion.getVersion() == promotion.getEvaluated()
                        ? promotion.getMetrics()
                        : Map.of())
                .setTime(promotion.getTime())
                .build());
  }

  private <T extends SpecificRecordBase> void follow(
      Topic<T> topic, Function<T, Optional<PolicyCheckpoint>> announcement) {
    while (!closed) {
      try (RecordReader<T> reader = RecordReader.fromEarliest(settings.kafka, topic)) {
        boolean skip = true;
        while (!closed) {
          List<PolicyCheckpoint> waiting = waiting(reader, announcement);
          List<PolicyCheckpoint> wanted = skip || settings.skipOutdated ? last(waiting) : waiting;
          wanted.forEach(this::take);
          // Only what was announced before this process began is skipped.
          skip = handed == 0;
        }
      } catch (IOException e) {
        LOG.warn("{}; trying again in {} s", e.getMessage(), RETRY.toSeconds());
        pause();
      }
    }
  }

  private static List<PolicyCheckpoint> last(List<PolicyCheckpoint> waiting) {
    return waiting.isEmpty() ? waiting : List.of(waiting.getLast());
  }

  /** The announcements up to the end of the topic, of versions not handed on yet. */
  private <T extends SpecificRecordBase> List<PolicyCheckpoint> waiting(
      RecordReader<T> reader, Function<T, Optional<PolicyCheckpoint>> announcement)
      throws IOException {
    List<PolicyCheckpoint> waiting = new ArrayList<>();
    Consumer<RecordReader.Entry<T>> take =
        entry ->
            entry
                .record()
                .flatMap(announcement)
                .filter(record -> record.getModel().equals(settings.model))
                .filter(record -> settings.promotedOnly || record.getVersion() > handed)
                .ifPresent(waiting::add);
    reader.next(POLL).ifPresent(take);
    reader.readToEnd(take);
    return waiting;
  }

  private void take(PolicyCheckpoint announcement) {
    if (announcement.getVersion() == handed) {
      // A verdict on another version leaves the served one where it is.
      return;
    }
    Optional<Path> copy = copyWithPatience(announcement);
    if (copy.isEmpty()) {
      return;
    }
    PolicyVersion policy = new PolicyVersion(copy.get(), announcement);
    handed = announcement.getVersion();
    try {
      listener.accept(policy);
    } catch (RuntimeException e) {
      LOG.warn("Version {} of {} could not be taken over", handed, settings.model, e);
    }
    forgetOld(policy.directory());
  }

  /** This machine's copy; empty where the version cannot be had. */
  private Optional<Path> copyWithPatience(PolicyCheckpoint announcement) {
    Exception failure = null;
    for (int attempt = 1; attempt <= ATTEMPTS && !closed; attempt++) {
      try {
        return Optional.of(copy(announcement));
      } catch (UnusableCheckpointException | IllegalArgumentException e) {
        failure = e;
        break;
      } catch (IOException e) {
        failure = e;
        if (attempt < ATTEMPTS) {
          LOG.warn("{}; trying again in {} s", e.getMessage(), RETRY.toSeconds());
          pause();
        }
      }
    }
    LOG.warn(
        "Version {} of {} is left out: {}",
        announcement.getVersion(),
        settings.model,
        String.valueOf(failure));
    return Optional.empty();
  }

  private Path copy(PolicyCheckpoint announcement) throws IOException {
    CheckpointLocation source = CheckpointLocation.of(announcement.getUri());
    Path target =
        settings.directory.resolve("%s-v%06d".formatted(settings.model, announcement.getVersion()));
    Path work = target.resolveSibling(target.getFileName() + ".copying");
    LocalStore.delete(work);
    try {
      PublishedFiles.copy(source, work, announcement.getManifestSha256());
    } catch (IOException e) {
      LocalStore.delete(work);
      throw e;
    }
    LocalStore.delete(target);
    return Files.move(work, target, StandardCopyOption.ATOMIC_MOVE);
  }

  private void forgetOld(Path newest) {
    copies.remove(newest);
    copies.addLast(newest);
    while (copies.size() > settings.keep) {
      Path old = copies.removeFirst();
      try {
        LocalStore.delete(old);
      } catch (IOException e) {
        LOG.warn("Cannot delete the old copy {}: {}", old, e.toString());
      }
    }
  }

  private void pause() {
    try {
      Thread.sleep(RETRY.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closed = true;
    }
  }

  /** Stops watching, and waits for a listener that runs. Copies stay. */
  @Override
  public void close() {
    closed = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
