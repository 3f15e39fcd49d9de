package io.millrace.connectors.checkpoint.store;

import io.millrace.connectors.checkpoint.store.CheckpointStore.StagedWriter;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** The file operations of a {@link CheckpointStore}, for one kind of storage. */
abstract class Storage {
  /** Writes the files of one version and makes them durable, but not visible. */
  abstract StagedFiles stage(String name, long version, StagedWriter writer) throws IOException;

  /** The manifest of a visible version; empty when the version is not visible. */
  abstract Optional<byte[]> publishedManifest(String name, long version) throws IOException;

  /** The manifest of staged files; empty when they are not there. */
  abstract Optional<byte[]> stagedManifest(StagedFiles files) throws IOException;

  /** Makes staged files visible, all at once. */
  abstract void publish(StagedFiles files, byte[] manifest) throws IOException;

  /** Deletes the staged files of a version that is visible. */
  abstract void deleteStaged(StagedFiles files) throws IOException;

  /** The versions of a model that are visible, in ascending order. */
  abstract List<Long> versions(String name) throws IOException;

  /** The highest version that is visible; 0 when there is none. */
  abstract long latestVersion(String name) throws IOException;

  /** Deletes a version. A reader sees the whole version or none of it. */
  abstract void retire(String name, long version) throws IOException;

  /** Deletes the files that an interrupted {@link #retire} left behind. */
  abstract void sweep(String name) throws IOException;

  /** The time at which the manifest of a visible version was written. */
  abstract Instant writtenAt(String name, long version) throws IOException;

  /** Whether a location is that of a version, in any spelling. */
  abstract boolean isAt(String location, String name, long version) throws IOException;

  /** The URI of a version. */
  abstract String uri(String name, long version);

  /**
   * Makes staged files visible. A repeated commit changes nothing.
   *
   * @throws IOException when the staged files are missing or changed, or the version is published
   *     with other content
   */
  final void commit(StagedFiles files) throws IOException {
    Optional<byte[]> published = publishedManifest(files.name(), files.version());
    if (published.isPresent()) {
      String digest = Sha256.of(published.get());
      if (!digest.equals(files.manifestSha256())) {
        throw new IOException(
            "%s is already published with other content (SHA-256 of its %s is %s, not %s); choose another model name or checkpoint root"
                .formatted(
                    uri(files.name(), files.version()),
                    CheckpointStore.MANIFEST,
                    digest,
                    files.manifestSha256()));
      }
      deleteStaged(files);
      return;
    }
    Optional<byte[]> staged = stagedManifest(files);
    if (staged.isEmpty()) {
      if (latestVersion(files.name()) > files.version()) {
        // A job that resumes from an old savepoint commits versions that were retired since.
        return;
      }
      throw new IOException(
          "%s is neither staged nor published; was the checkpoint root moved or cleaned?"
              .formatted(uri(files.name(), files.version())));
    }
    String digest = Sha256.of(staged.get());
    if (!digest.equals(files.manifestSha256())) {
      throw new IOException(
          "%s holds other content than was staged (SHA-256 of its %s is %s, not %s); two jobs must not publish one model name"
              .formatted(
                  files.stagedUri(), CheckpointStore.MANIFEST, digest, files.manifestSha256()));
    }
    publish(files, staged.get());
    deleteStaged(files);
  }
}
