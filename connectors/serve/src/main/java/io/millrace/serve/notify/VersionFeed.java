package io.millrace.serve.notify;

import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Reads the versions that are announced and that an endpoint does not have. It commits offsets in
 * the endpoint's consumer group, with the version that the endpoint has.
 *
 * @param <T> record of the topic that is followed
 */
final class VersionFeed<T extends SpecificRecordBase> implements AutoCloseable {

  private final NotifySettings settings;
  private final Function<T, Optional<PolicyCheckpoint>> announcement;
  private final RecordReader<T> reader;

  /** The version that the endpoint has by what is committed; -1 for none. */
  private long committed;

  private RecordReader.Entry<T> newest;
  private PolicyCheckpoint pending;
  private long outdated;

  private VersionFeed(
      NotifySettings settings,
      Topic<T> topic,
      Function<T, Optional<PolicyCheckpoint>> announcement,
      NotifySettings.Endpoint endpoint)
      throws IOException {
    this.settings = settings;
    this.announcement = announcement;
    this.reader = RecordReader.fromCommitted(settings.kafka(), topic, settings.group(endpoint));
    try {
      this.committed =
          reader.committedNotes().stream().mapToLong(VersionFeed::version).max().orElse(-1);
    } catch (IOException e) {
      reader.close();
      throw e;
    }
  }

  static VersionFeed<?> open(NotifySettings settings, NotifySettings.Endpoint endpoint)
      throws IOException {
    return settings.promotedOnly()
        ? new VersionFeed<>(settings, Topic.PROMOTIONS, PolicyCheckpoints::served, endpoint)
        : new VersionFeed<>(settings, Topic.POLICY_CHECKPOINTS, Optional::of, endpoint);
  }

  private static long version(String note) {
    return note.matches("v\\d{1,18}") ? Long.parseLong(note.substring(1)) : -1;
  }

  /** The version that the endpoint has by what is committed. */
  OptionalLong committed() {
    return committed < 0 ? OptionalLong.empty() : OptionalLong.of(committed);
  }

  /**
   * The newest announced version that is not done, after all that the topic has now.
   *
   * @param wait for a record, if there is none
   */
  Optional<PolicyCheckpoint> newest(Duration wait) throws IOException {
    reader.readToEnd(this::take);
    if (pending == null && !wait.isZero()) {
      reader.next(wait).ifPresent(this::take);
      reader.readToEnd(this::take);
    }
    return Optional.ofNullable(pending);
  }

  private void take(RecordReader.Entry<T> entry) {
    Optional<PolicyCheckpoint> announced =
        entry
            .record()
            .flatMap(announcement)
            .filter(record -> record.getModel().equals(settings.model()));
    if (announced.isEmpty()) {
      return;
    }
    PolicyCheckpoint version = announced.get();
    if (settings.promotedOnly()
        ? version.getVersion() == (pending == null ? committed : pending.getVersion())
        : version.getVersion()
            <= Math.max(committed, pending == null ? -1 : pending.getVersion())) {
      return;
    }
    if (pending != null) {
      outdated++;
    }
    pending = version;
    newest = entry;
  }

  /**
   * Counts the versions, since the last call, that a later one replaced before the endpoint could
   * load them.
   */
  long takeOutdated() {
    long count = outdated;
    outdated = 0;
    return count;
  }

  /**
   * Commits that the pending version is done.
   *
   * @param has the version that the endpoint has now; empty if it has none of this model
   */
  void done(OptionalLong has) throws IOException {
    reader.commit(newest, has.isPresent() ? "v" + has.getAsLong() : "");
    committed = has.orElse(-1);
    pending = null;
    newest = null;
  }

  @Override
  public void close() {
    reader.close();
  }
}
