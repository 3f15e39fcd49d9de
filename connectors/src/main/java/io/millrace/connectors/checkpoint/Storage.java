package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.CheckpointStore.StagedWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.List;

/** What a {@link CheckpointStore} asks of the storage that it lies on. */
interface Storage {
  /** Writes the files of one version and makes them durable, but not visible. */
  StagedFiles stage(String name, long version, StagedWriter writer) throws IOException;

  /** Makes staged files visible, all at once. */
  void commit(StagedFiles files) throws IOException;

  /** The versions of a model that are visible, in ascending order. */
  List<Long> versions(String name) throws IOException;

  /** The highest version that is visible; 0 where there is none. */
  long latestVersion(String name) throws IOException;

  /** Deletes a version; nobody meets a part of it. */
  void retire(String name, long version) throws IOException;

  /** Deletes what retirements that were cut off left of versions below the latest one. */
  void sweep(String name) throws IOException;

  /** When the manifest of a visible version was written. */
  Instant writtenAt(String name, long version) throws IOException;

  /** Whether a location is that of a version, however it is spelled. */
  boolean isAt(String location, String name, long version) throws IOException;

  /** The URI of a version. */
  String uri(String name, long version);
}
