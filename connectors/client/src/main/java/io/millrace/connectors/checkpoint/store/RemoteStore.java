package io.millrace.connectors.checkpoint.store;

import io.millrace.connectors.checkpoint.store.CheckpointLocation.Publishing;
import io.millrace.connectors.checkpoint.store.CheckpointStore.FileWriter;
import io.millrace.connectors.checkpoint.store.CheckpointStore.StagedWriter;
import io.millrace.connectors.checkpoint.store.PublishedFiles.ListedFile;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store on a {@link RemoteFileSystem}.
 *
 * <pre>
 * root/name/.staging/v000007-UUID   staged: complete
 * root/name/v000007                 committed: visible when its millrace.json is there
 * </pre>
 *
 * <p>Models write their files to a local scratch directory, from which they are uploaded. Each
 * attempt stages into a directory of its own, and Flink state holds that directory's URI. An
 * attempt that Flink gave up may still run somewhere; it never touches the files of another
 * attempt.
 *
 * <p>A file system that renames directories in one step commits by that rename. On an object store,
 * a commit moves every file on its own, the manifest last. A move is a copy inside the store, so no
 * file is uploaded twice.
 *
 * <p>Staging below the final name, without the manifest, would save the copy. It is not safe: an
 * attempt that was given up could overwrite files of a version that is published by then.
 *
 * <p>A commit may stop at any point and be repeated. The repeated move finds its source gone and
 * the target complete, by its digest. A target from an older attempt has another digest and is
 * replaced while there is no manifest.
 *
 * <p>Versions are committed in order, so a commit deletes the staged files of its version and of
 * earlier ones: no later commit needs them. Nothing else deletes staged files.
 */
final class RemoteStore extends Storage {
  private static final Logger LOG = LoggerFactory.getLogger(RemoteStore.class);
  private static final String STAGING = ".staging";

  private final CheckpointLocation root;
  private final Path scratch;

  RemoteStore(CheckpointLocation root, Path scratch) {
    this.root = root;
    this.scratch = scratch;
  }

  private RemoteFiles files() throws IOException {
    return RemoteFiles.of(root.toString());
  }

  private static String manifest(String directory) {
    return directory + "/" + CheckpointStore.MANIFEST;
  }

  @Override
  StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    String staged = newAttempt(staging(model(name)), CheckpointStore.versionName(version));
    byte[] manifest = upload(staged, writer);
    return new StagedFiles(name, version, staged, uri(name, version), Sha256.of(manifest));
  }

  private static String newAttempt(String staging, String name) {
    return staging + "/" + name + "-" + UUID.randomUUID();
  }

  /**
   * Uploads the files that a writer produces.
   *
   * @return the manifest
   */
  private byte[] upload(String to, StagedWriter writer) throws IOException {
    try (CacheDirectory.Use use = CacheDirectory.of(scratch).use()) {
      Path work = use.newWork();
      try {
        writer.write(work);
        byte[] manifest = LocalStore.manifest(work);
        List<ListedFile> listed = PublishedFiles.listed(manifest, to);
        requireAllListed(work, listed, to);
        for (ListedFile file : listed) {
          upload(work.resolve(file.name()), to, file);
        }
        files().write(manifest(to), manifest);
        return manifest;
      } catch (IOException | RuntimeException e) {
        abandon(to, e);
        throw e;
      } finally {
        Directories.delete(work);
      }
    }
  }

  private void upload(Path file, String to, ListedFile listed) throws IOException {
    String digest =
        isCreatedInPlace(listed)
            ? Sha256.of(PlainFiles.read(file, CheckpointStore.MAX_MANIFEST_BYTES))
            : files().upload(file, to + "/" + listed.name());
    if (!digest.equals(listed.sha256())) {
      throw new IOException(
          "%s has SHA-256 %s, not %s as its manifest says"
              .formatted(file, digest, listed.sha256()));
    }
  }

  /**
   * On an object store, an empty file is not staged; the commit creates it in its final place. Some
   * clients take an empty object for a directory and can neither move nor read it.
   */
  private boolean isCreatedInPlace(ListedFile file) {
    return file.size() == 0 && root.publishing() == Publishing.MANIFEST_LAST;
  }

  private static void requireAllListed(Path directory, List<ListedFile> listed, String where)
      throws IOException {
    try (Stream<Path> children = Files.list(directory)) {
      for (Path child : children.toList()) {
        String name = child.getFileName().toString();
        if (!name.equals(CheckpointStore.MANIFEST)
            && listed.stream().noneMatch(file -> file.name().equals(name))) {
          throw new IOException(
              "%s: its manifest %s does not list %s"
                  .formatted(where, CheckpointStore.MANIFEST, name));
        }
      }
    }
  }

  private void abandon(String staged, Exception cause) {
    try {
      files().delete(staged);
    } catch (IOException e) {
      // The next commit deletes it.
      cause.addSuppressed(e);
    }
  }

  @Override
  Optional<byte[]> publishedManifest(String name, long version) throws IOException {
    return files().read(manifest(uri(name, version)));
  }

  @Override
  Optional<byte[]> stagedManifest(StagedFiles files) throws IOException {
    if (!files.stagedUri().startsWith(staging(model(files.name())) + "/")) {
      throw new IOException(
          "%s was staged in %s, not below %s; was checkpoints.directory changed?"
              .formatted(uri(files.name(), files.version()), files.stagedUri(), root));
    }
    return files().read(manifest(files.stagedUri()));
  }

  @Override
  void publish(StagedFiles files, byte[] manifest) throws IOException {
    publish(files.stagedUri(), uri(files.name(), files.version()), manifest);
  }

  /** Moves staged files to a directory that has no manifest yet. */
  private void publish(String staged, String published, byte[] manifest) throws IOException {
    if (root.publishing() == Publishing.ATOMIC_RENAME) {
      if (files().exists(published)) {
        throw new IOException(
            "%s exists without a manifest %s; remove it"
                .formatted(published, CheckpointStore.MANIFEST));
      }
      files().move(staged, published);
      return;
    }
    Map<String, ListedFile> listed = new TreeMap<>();
    PublishedFiles.listed(manifest, staged).forEach(file -> listed.put(file.name(), file));
    for (RemoteFileSystem.Entry entry : files().list(published)) {
      if (!listed.containsKey(entry.name())) {
        files().delete(published + "/" + entry.name());
      }
    }
    for (ListedFile file : listed.values()) {
      place(staged + "/" + file.name(), published + "/" + file.name(), file);
    }
    files().move(manifest(staged), manifest(published));
  }

  private void place(String from, String to, ListedFile file) throws IOException {
    if (isCreatedInPlace(file)) {
      files().write(to, new byte[0]);
      return;
    }
    if (files().isFile(to)) {
      if (files().sha256(to).equals(file.sha256())) {
        // An interrupted commit moved it.
        return;
      }
      files().delete(to);
    }
    files().move(from, to);
  }

  @Override
  void deleteStaged(StagedFiles files) {
    String staging = staging(model(files.name()));
    try {
      for (RemoteFileSystem.Entry entry : files().list(staging)) {
        OptionalLong staged = CheckpointStore.versionOf(entry.name().split("-", 2)[0]);
        if (staged.isPresent() && staged.getAsLong() <= files.version()) {
          files().delete(staging + "/" + entry.name());
        }
      }
    } catch (IOException e) {
      LOG.warn(
          "Cannot delete staged files below {}, the next commit tries again: {}",
          staging,
          e.toString());
    }
  }

  /** {@link CheckpointStore#create}. */
  String create(String path, StagedWriter writer) throws IOException {
    String published = root.child(path);
    if (files().isFile(manifest(published))) {
      return published;
    }
    int slash = published.lastIndexOf('/');
    String staged =
        newAttempt(staging(published.substring(0, slash)), published.substring(slash + 1));
    byte[] manifest = upload(staged, writer);
    try {
      publish(staged, published, manifest);
    } catch (IOException e) {
      // Another process may have created it first; all create the same content.
      if (!files().isFile(manifest(published))) {
        throw e;
      }
    }
    files().delete(staged);
    return published;
  }

  /** {@link CheckpointStore#put}. */
  void put(String path, FileWriter writer) throws IOException {
    String target = root.child(path);
    int slash = target.lastIndexOf('/');
    String staged = newAttempt(staging(target.substring(0, slash)), target.substring(slash + 1));
    try (CacheDirectory.Use use = CacheDirectory.of(scratch).use()) {
      Path work = use.newWork();
      try {
        Path file = work.resolve(target.substring(slash + 1));
        writer.write(file);
        files().upload(file, staged);
      } catch (IOException | RuntimeException e) {
        abandon(staged, e);
        throw e;
      } finally {
        Directories.delete(work);
      }
    }
    files().delete(target);
    files().move(staged, target);
  }

  @Override
  List<Long> versions(String name) throws IOException {
    List<Long> visible = new ArrayList<>();
    for (long version : directories(files(), model(name))) {
      if (isVisible(files(), model(name), version)) {
        visible.add(version);
      }
    }
    return visible;
  }

  @Override
  long latestVersion(String name) throws IOException {
    return latest(files(), model(name));
  }

  private static long latest(RemoteFiles files, String model) throws IOException {
    for (long version : directories(files, model).reversed()) {
      if (isVisible(files, model, version)) {
        return version;
      }
    }
    return 0;
  }

  /** The versions that have a directory, visible or not, in ascending order. */
  private static List<Long> directories(RemoteFiles files, String model) throws IOException {
    return files.list(model).stream()
        .filter(RemoteFileSystem.Entry::isDirectory)
        .map(entry -> CheckpointStore.versionOf(entry.name()))
        .flatMapToLong(OptionalLong::stream)
        .sorted()
        .boxed()
        .toList();
  }

  private static boolean isVisible(RemoteFiles files, String model, long version)
      throws IOException {
    return files.isFile(manifest(model + "/" + CheckpointStore.versionName(version)));
  }

  /** Deletes the manifest first, which hides the version. */
  @Override
  void retire(String name, long version) throws IOException {
    files().delete(manifest(uri(name, version)));
    files().delete(uri(name, version));
  }

  @Override
  void sweep(String name) throws IOException {
    long latest = latestVersion(name);
    for (long version : directories(files(), model(name))) {
      if (version < latest && !isVisible(files(), model(name), version)) {
        files().delete(uri(name, version));
      }
    }
  }

  @Override
  Instant writtenAt(String name, long version) throws IOException {
    return files().modified(manifest(uri(name, version)));
  }

  /** Ignores the scheme: s3 and s3a are the same place. */
  @Override
  boolean isAt(String location, String name, long version) {
    CheckpointLocation other = CheckpointLocation.of(location);
    return !other.isLocal()
        && withoutScheme(other.toString()).equals(withoutScheme(uri(name, version)));
  }

  private static String withoutScheme(String uri) {
    return uri.substring(uri.indexOf(':') + 1);
  }

  static boolean isRetired(CheckpointLocation location) throws IOException {
    String uri = location.toString();
    int slash = uri.lastIndexOf('/');
    OptionalLong version = CheckpointStore.versionOf(uri.substring(slash + 1));
    if (version.isEmpty()) {
      return false;
    }
    RemoteFiles files = RemoteFiles.of(uri);
    return !files.isFile(manifest(uri))
        && latest(files, uri.substring(0, slash)) > version.getAsLong();
  }

  @Override
  String uri(String name, long version) {
    return model(name) + "/" + CheckpointStore.versionName(version);
  }

  private String model(String name) {
    return root.child(CheckpointStore.checkedName(name));
  }

  private static String staging(String model) {
    return model + "/" + STAGING;
  }
}
