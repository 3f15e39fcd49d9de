package io.millrace.connectors.checkpoint;

import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.util.Arrays;
import java.util.Objects;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * A checkpoint whose files are staged, with what is needed to publish it: small enough to travel in
 * a stream and to lie in Flink state.
 *
 * @param name the model, a directory of the store
 * @param version grows by one with each checkpoint of the name
 * @param stagedUri where the files lie now
 * @param finalUri where they will lie
 * @param manifestSha256 SHA-256 of the staged millrace.json, in hexadecimal
 * @param topic the announcement's topic, without prefix
 * @param key the announcement's key
 * @param announcement the announcement's value, in single-object encoding
 */
public record StagedCheckpoint(
    String name,
    long version,
    String stagedUri,
    String finalUri,
    String manifestSha256,
    String topic,
    byte[] key,
    byte[] announcement) {
  public StagedCheckpoint {
    Objects.requireNonNull(name);
    Objects.requireNonNull(stagedUri);
    Objects.requireNonNull(finalUri);
    Objects.requireNonNull(manifestSha256);
    Objects.requireNonNull(topic);
    Objects.requireNonNull(key);
    Objects.requireNonNull(announcement);
  }

  /**
   * Staged files together with their announcement.
   *
   * @throws IllegalArgumentException when the announcement is of other files than the staged ones
   */
  public static <T extends SpecificRecordBase> StagedCheckpoint of(
      StagedFiles files, Topic<T> topic, T announcement) {
    Announced announced = Announced.of(announcement);
    if (announced.version() != files.version()
        || !announced.uri().equals(files.finalUri())
        || !announced.manifestSha256().equals(files.manifestSha256())) {
      throw new IllegalArgumentException(
          "the announcement " + announced + " is not of the staged files " + files);
    }
    return new StagedCheckpoint(
        files.name(),
        files.version(),
        files.stagedUri(),
        files.finalUri(),
        files.manifestSha256(),
        topic.name(),
        topic.keyBytes(announcement),
        SingleObject.of(topic.type()).encode(announcement));
  }

  /** The files alone. */
  public StagedFiles files() {
    return new StagedFiles(name, version, stagedUri, finalUri, manifestSha256);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof StagedCheckpoint that
        && files().equals(that.files())
        && topic.equals(that.topic)
        && Arrays.equals(key, that.key)
        && Arrays.equals(announcement, that.announcement);
  }

  @Override
  public int hashCode() {
    return files().hashCode();
  }

  @Override
  public String toString() {
    return "StagedCheckpoint[" + files() + ", topic=" + topic + "]";
  }
}
