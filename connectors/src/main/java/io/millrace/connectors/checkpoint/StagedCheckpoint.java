package io.millrace.connectors.checkpoint;

/**
 * A checkpoint that is written but not yet visible, with the announcement that will make it known.
 * A POJO in Flink's sense, and the committable of {@link CheckpointSink}.
 */
public final class StagedCheckpoint {

  /** The model's name: its directory's and its announcement's key. */
  public String name;

  public long version;
  public String stagedDirectory;
  public String finalDirectory;

  /** SHA-256 of its millrace.json. */
  public String manifestSha256;

  /** The announcement's topic, and its encoded record. */
  public String topic;

  public byte[] announcement;

  /** For Flink's serializer. */
  public StagedCheckpoint() {}

  public StagedCheckpoint(
      String name,
      long version,
      String stagedDirectory,
      String finalDirectory,
      String manifestSha256,
      String topic,
      byte[] announcement) {
    this.name = name;
    this.version = version;
    this.stagedDirectory = stagedDirectory;
    this.finalDirectory = finalDirectory;
    this.manifestSha256 = manifestSha256;
    this.topic = topic;
    this.announcement = announcement;
  }
}
