package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.store.UnusableCheckpointException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.avro.specific.SpecificRecordBase;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives a serving process each new version of a policy, once and in order. The version is verified
 * and completely copied to this machine before the listener is called.
 *
 * <pre>{@code
 * try (PolicyCheckpoints policies =
 *     PolicyCheckpoints.builder()
 *         .kafka(KafkaSettings.of("localhost:9092"))
 *         .model("policy")
 *         .directory(Path.of("/var/lib/serving/policies"))
 *         .watch(policy -> engine.load(policy.directory()))) {
 *   …
 * }
 * }</pre>
 *
 * <p>The artifact {@code io.millrace:millrace-client} with Java 25 is enough. {@code
 * docs/examples/java/FollowPolicies.java} is a whole program, and {@code docs/producers.md} has its
 * class path.
 *
 * <p>The listener first gets the latest version, then all that follow. {@link Builder#skipOutdated}
 * skips the versions that already have a successor when the listener is ready.
 *
 * <p>A version is skipped, with a warning in the log, when its files are missing or differ from the
 * announcement. Its files may be missing because the store has retired it. Serving goes on with the
 * last good version.
 *
 * <p>With {@link Builder#promotedOnly} the listener gets only the versions that the job evaluation
 * promotes, and an earlier one again when that job rolls back to it.
 */
public final class PolicyCheckpoints implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PolicyCheckpoints.class);
  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration RETRY = Duration.ofSeconds(2);

  /** A remote store may be out of reach for a while. */
  private static final int ATTEMPTS = 5;

  private final Builder settings;
  private final Consumer<? super PolicyVersion> listener;
  private final PolicyCopies copies;
  private final Thread thread;
  private long delivered;
  private volatile boolean closed;

  private PolicyCheckpoints(Builder settings, Consumer<? super PolicyVersion> listener) {
    this.settings = settings;
    this.listener = listener;
    this.copies = new PolicyCopies(settings.directory, settings.keep);
    this.thread = new Thread(this::run, "policy checkpoints of " + settings.model);
    thread.setDaemon(true);
    thread.start();
  }

  public static Builder builder() {
    return new Builder();
  }

  /** The announcements to watch, and the place for local copies. */
  public static final class Builder {
    private KafkaSettings kafka;
    private String model = "policy";
    private Path directory;
    private int keep = 2;
    private boolean skipOutdated;
    private boolean promotedOnly;
    private Predicate<String> roots = _ -> true;
    private Consumer<PolicyCheckpoint> skipped = _ -> {};

    private Builder() {}

    /** The broker and topic prefix of the announcements. Required. */
    public Builder kafka(KafkaSettings settings) {
      this.kafka = Objects.requireNonNull(settings, "kafka");
      return this;
    }

    /** The model's name. Default: "policy". */
    public Builder model(String name) {
      this.model = Objects.requireNonNull(name, "model");
      return this;
    }

    /** The local directory for copies, which gets one directory a version. Required. */
    public Builder directory(Path copies) {
      this.directory = Objects.requireNonNull(copies, "directory");
      return this;
    }

    /**
     * The number of newest copies that stay. Default: 2, so that the version before is still there
     * while the new one is loaded.
     */
    public Builder keep(int copies) {
      if (copies < 1) {
        throw new IllegalArgumentException("keep is " + copies + "; it must be at least 1");
      }
      this.keep = copies;
      return this;
    }

    /** Of the versions announced while the listener was busy, delivers only the latest. */
    public Builder skipOutdated() {
      this.skipOutdated = true;
      return this;
    }

    /**
     * Follows the topic promotions: delivers the version that the last verdict says to serve. Its
     * announcement then has only model, version, URI, digest, metrics and time.
     */
    public Builder promotedOnly() {
      this.promotedOnly = true;
      return this;
    }

    /**
     * The places under which an announced version may lie; others are skipped. Default: all.
     *
     * @param uri whether a URI is such a place
     */
    public Builder under(Predicate<String> uri) {
      this.roots = Objects.requireNonNull(uri, "uri");
      return this;
    }

    /** Is called for each announced version that is skipped because it is unusable. */
    public Builder onSkipped(Consumer<PolicyCheckpoint> listener) {
      this.skipped = Objects.requireNonNull(listener, "listener");
      return this;
    }

    /**
     * Starts a thread that watches the announcements and calls the listener.
     *
     * @throws IllegalStateException when a required property is not set, with its name
     */
    public PolicyCheckpoints watch(Consumer<? super PolicyVersion> listener) {
      requireSet(kafka, "kafka");
      requireSet(directory, "directory");
      return new PolicyCheckpoints(this, Objects.requireNonNull(listener, "listener"));
    }

    private static void requireSet(Object value, String property) {
      if (value == null) {
        throw new IllegalStateException(
            "%s is not set; call %s(…) before watch(…)".formatted(property, property));
      }
    }
  }

  private void run() {
    if (settings.promotedOnly) {
      follow(Topic.PROMOTIONS, PolicyCheckpoints::served);
    } else {
      follow(Topic.POLICY_CHECKPOINTS, Optional::of);
    }
  }

  /** The version that a verdict says to serve; empty when nothing was promoted yet. */
  public static Optional<PolicyCheckpoint> served(Promotion promotion) {
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
          List<PolicyCheckpoint> pending = pending(reader, announcement);
          List<PolicyCheckpoint> wanted = skip || settings.skipOutdated ? last(pending) : pending;
          wanted.forEach(this::deliver);
          // Versions announced after this process began are all delivered.
          skip = delivered == 0;
        }
      } catch (IOException e) {
        LOG.warn("{}; trying again in {} s", e.getMessage(), RETRY.toSeconds());
        pause();
      }
    }
  }

  private static List<PolicyCheckpoint> last(List<PolicyCheckpoint> pending) {
    return pending.isEmpty() ? pending : List.of(pending.getLast());
  }

  /** The announcements up to the end of the topic whose versions were not delivered yet. */
  private <T extends SpecificRecordBase> List<PolicyCheckpoint> pending(
      RecordReader<T> reader, Function<T, Optional<PolicyCheckpoint>> announcement)
      throws IOException {
    List<PolicyCheckpoint> pending = new ArrayList<>();
    Consumer<RecordReader.Entry<T>> add =
        entry ->
            entry
                .record()
                .flatMap(announcement)
                .filter(record -> record.getModel().equals(settings.model))
                .filter(record -> settings.promotedOnly || record.getVersion() > delivered)
                .ifPresent(pending::add);
    reader.next(POLL).ifPresent(add);
    reader.readToEnd(add);
    return pending;
  }

  private void deliver(PolicyCheckpoint announcement) {
    if (announcement.getVersion() == delivered) {
      // A verdict on another version does not change the served one.
      return;
    }
    Optional<Path> copy = copyWithRetries(announcement);
    if (copy.isEmpty()) {
      return;
    }
    delivered = announcement.getVersion();
    try {
      listener.accept(new PolicyVersion(copy.get(), announcement));
    } catch (RuntimeException e) {
      LOG.warn(
          "The listener failed on version {} of {}; it gets the next version as usual",
          delivered,
          settings.model,
          e);
    }
    copies.add(copy.get());
  }

  /** The local copy; empty when the version is unusable or the store stays out of reach. */
  private Optional<Path> copyWithRetries(PolicyCheckpoint announcement) {
    Exception failure = null;
    boolean allowed = settings.roots.test(announcement.getUri());
    if (!allowed) {
      failure =
          new IllegalArgumentException(
              announcement.getUri()
                  + " lies under none of the roots of checkpoints (checkpoints.directory,"
                  + " checkpoints.other-roots)");
    }
    for (int attempt = 1; attempt <= ATTEMPTS && allowed && !closed; attempt++) {
      try {
        return Optional.of(copies.copy(announcement));
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
        "Skipped version {} of {}: {}",
        announcement.getVersion(),
        settings.model,
        String.valueOf(failure));
    settings.skipped.accept(announcement);
    return Optional.empty();
  }

  private void pause() {
    try {
      Thread.sleep(RETRY.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closed = true;
    }
  }

  /** Stops watching, after the current call of the listener has returned. The copies stay. */
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
