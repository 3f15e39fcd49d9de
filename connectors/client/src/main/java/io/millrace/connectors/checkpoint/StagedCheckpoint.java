package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.util.Arrays;
import java.util.Objects;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * A checkpoint whose files are staged, with its announcement. It is small enough for a stream and
 * for Flink state.
 *
 * @param files the staged files
 * @param topic the announcement's topic, without prefix
 * @param key the announcement's key
 * @param announcement the announcement's value, in single-object encoding
 */
public record StagedCheckpoint(StagedFiles files, String topic, byte[] key, byte[] announcement) {
  public StagedCheckpoint {
    Objects.requireNonNull(files, "files");
    Objects.requireNonNull(topic, "topic");
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(announcement, "announcement");
  }

  /**
   * Staged files together with their announcement.
   *
   * @throws IllegalArgumentException when the announcement is not that of the staged files
   */
  public static <T extends SpecificRecordBase> StagedCheckpoint of(
      StagedFiles files, Topic<T> topic, T announcement) {
    Announced announced = Announced.of(announcement);
    if (announced.version() != files.version()
        || !announced.uri().equals(files.finalUri())
        || !announced.manifestSha256().equals(files.manifestSha256())) {
      throw new IllegalArgumentException(
          "the announcement %s does not match the staged files %s; take version, URI and digest from the staged files"
              .formatted(announced, files));
    }
    return new StagedCheckpoint(
        files,
        topic.name(),
        topic.keyBytes(announcement),
        SingleObject.of(topic.type()).encode(announcement));
  }

  /** The model, a directory of the store. */
  public String name() {
    return files.name();
  }

  /** The checkpoint's version. */
  public long version() {
    return files.version();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof StagedCheckpoint that
        && files.equals(that.files)
        && topic.equals(that.topic)
        && Arrays.equals(key, that.key)
        && Arrays.equals(announcement, that.announcement);
  }

  @Override
  public int hashCode() {
    return files.hashCode();
  }

  @Override
  public String toString() {
    return "StagedCheckpoint[" + files + ", topic=" + topic + "]";
  }
}
