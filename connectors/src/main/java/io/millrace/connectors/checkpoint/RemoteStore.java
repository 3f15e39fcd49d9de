package io.millrace.connectors.checkpoint;

import io.millrace.connectors.checkpoint.CheckpointLocation.Publishing;
import io.millrace.connectors.checkpoint.CheckpointStore.FileWriter;
import io.millrace.connectors.checkpoint.CheckpointStore.StagedWriter;
import io.millrace.connectors.checkpoint.PublishedFiles.ListedFile;
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
 * A store on a Flink file system of another machine.
 *
 * <pre>
 * root/name/.staging/v000007-UUID   staged: complete
 * root/name/v000007                 committed: visible when its millrace.json is there
 * </pre>
 *
 * <p>Files are written to a scratch directory of this machine first, since that is how models write
 * them, and uploaded as they are read. Each attempt stages into a directory of its own, whose URI
 * is in Flink state, so an attempt that Flink has given up and that still runs somewhere never
 * touches what another one staged.
 *
 * <p>Where directories are renamed in one step, that commits. On object stores every file is moved
 * on its own, the manifest last; a move is a copy inside the store, so nothing is uploaded twice.
 * To stage below the final name, without the manifest, would save that copy and is not sound: the
 * attempt that was given up could overwrite files of a version that is published by then. A move
 * that is repeated finds its source gone and the target whole, by its digest; a target of an older
 * attempt, which differs, is replaced while no manifest is there. So a commit may stop anywhere and
 * be repeated.
 *
 * <p>A commit deletes what is staged of its version and of earlier ones, since versions are
 * committed in order: what is still there then never will be. Nothing else deletes staged files.
 */
final class RemoteStore implements Storage {
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

  @Override
  public StagedFiles stage(String name, long version, StagedWriter writer) throws IOException {
    String staged = attempt(staging(model(name)), CheckpointStore.versionName(version));
    byte[] manifest = upload(staged, writer);
    return new StagedFiles(
        name, version, staged, uri(name, version), PublishedFiles.sha256(manifest));
  }

  private static String attempt(String staging, String name) {
    return staging + "/" + name + "-" + UUID.randomUUID();
  }

  /**
   * Uploads what a writer writes.
   *
   * @return the manifest
   */
  private byte[] upload(String to, StagedWriter writer) throws IOException {
    try (CacheDirectory.Use use = CacheDirectory.of(scratch).use()) {
      Path work = use.newWork();
      try {
        writer.write(work);
        Path manifestFile = work.resolve(CheckpointStore.MANIFEST);
        if (!Files.exists(manifestFile)) {
          throw new IOException("a checkpoint needs a manifest, and " + to + " has none");
        }
        byte[] manifest = Files.readAllBytes(manifestFile);
        List<ListedFile> listed = PublishedFiles.listed(manifest, to);
        requireAllListed(work, listed, to);
        for (ListedFile file : listed) {
          upload(work.resolve(file.name()), to, file);
        }
        files().write(to + "/" + CheckpointStore.MANIFEST, manifest);
        return manifest;
      } catch (IOException | RuntimeException e) {
        abandon(to, e);
        throw e;
      } finally {
        LocalStore.delete(work);
      }
    }
  }

  private void upload(Path file, String to, ListedFile listed) throws IOException {
    String digest =
        isBornEmpty(listed)
            ? PublishedFiles.sha256(Files.readAllBytes(file))
            : files().upload(file, to + "/" + listed.name());
    if (!digest.equals(listed.sha256())) {
      throw new IOException(
          "%s has SHA-256 %s, not %s as its manifest says"
              .formatted(file, digest, listed.sha256()));
    }
  }

  /**
   * An empty file is made where it will be and staged nowhere: some object stores' clients take an
   * empty object for a directory, and can neither move nor read it.
   */
  private boolean isBornEmpty(ListedFile file) {
    return file.size() == 0 && root.publishing() == Publishing.MANIFEST_LAST;
  }

  private static void requireAllListed(Path directory, List<ListedFile> listed, String where)
      throws IOException {
    try (Stream<Path> children = Files.list(directory)) {
      for (Path child : children.toList()) {
        String name = child.getFileName().toString();
        if (!name.equals(CheckpointStore.MANIFEST)
            && listed.stream().noneMatch(file -> file.name().equals(name))) {
          throw new IOException("%s: its manifest does not list %s".formatted(where, name));
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
  public void commit(StagedFiles files) throws IOException {
    String published = uri(files.name(), files.version());
    Optional<byte[]> there = files().read(published + "/" + CheckpointStore.MANIFEST);
    if (there.isPresent()) {
      String digest = PublishedFiles.sha256(there.get());
      if (!digest.equals(files.manifestSha256())) {
        throw new IOException(
            "%s is already published with other content (manifest %s, not %s); choose another model name or checkpoint root"
                .formatted(published, digest, files.manifestSha256()));
      }
      clean(files.name(), files.version());
      return;
    }
    String staged = files.stagedUri();
    if (!staged.startsWith(staging(model(files.name())) + "/")) {
      throw new IOException(
          "%s was staged in %s, not below %s; was checkpoints.directory changed?"
              .formatted(published, staged, root));
    }
    Optional<byte[]> manifest = files().read(staged + "/" + CheckpointStore.MANIFEST);
    if (manifest.isEmpty()) {
      if (latestVersion(files.name()) > files.version()) {
        // A job that resumes from an old savepoint comes by what was published and retired since.
        return;
      }
      throw new IOException(
          "%s is neither staged nor published; was the checkpoint root moved or cleaned?"
              .formatted(published));
    }
    String digest = PublishedFiles.sha256(manifest.get());
    if (!digest.equals(files.manifestSha256())) {
      throw new IOException(
          "%s holds other content than was staged (manifest %s, not %s); two jobs must not publish one model name"
              .formatted(staged, digest, files.manifestSha256()));
    }
    publish(staged, published, manifest.get());
    clean(files.name(), files.version());
  }

  /** Moves what is staged to where no manifest is yet. */
  private void publish(String staged, String published, byte[] manifest) throws IOException {
    if (root.publishing() == Publishing.ATOMIC_RENAME) {
      if (files().exists(published)) {
        throw new IOException(published + " is there without a manifest; remove it");
      }
      files().move(staged, published);
      return;
    }
    Map<String, ListedFile> listed = new TreeMap<>();
    PublishedFiles.listed(manifest, staged).forEach(file -> listed.put(file.name(), file));
    for (RemoteFiles.Entry entry : files().list(published)) {
      if (!listed.containsKey(entry.name())) {
        files().delete(published + "/" + entry.name());
      }
    }
    for (ListedFile file : listed.values()) {
      place(staged + "/" + file.name(), published + "/" + file.name(), file);
    }
    files()
        .move(staged + "/" + CheckpointStore.MANIFEST, published + "/" + CheckpointStore.MANIFEST);
  }

  private void place(String from, String to, ListedFile file) throws IOException {
    if (isBornEmpty(file)) {
      files().write(to, new byte[0]);
      return;
    }
    if (files().isFile(to)) {
      if (files().sha256(to).equals(file.sha256())) {
        // Moved by an attempt that was cut off.
        return;
      }
      files().delete(to);
    }
    files().move(from, to);
  }

  private void clean(String name, long version) {
    String staging = staging(model(name));
    try {
      for (RemoteFiles.Entry entry : files().list(staging)) {
        OptionalLong staged = CheckpointStore.versionOf(entry.name().split("-", 2)[0]);
        if (staged.isPresent() && staged.getAsLong() <= version) {
          files().delete(staging + "/" + entry.name());
        }
      }
    } catch (IOException e) {
      LOG.warn("what was staged of {} cannot be deleted: {}", name, e.toString());
    }
  }

  /** As {@link CheckpointStore#create}. */
  String create(String path, StagedWriter writer) throws IOException {
    String published = root.child(path);
    if (files().isFile(published + "/" + CheckpointStore.MANIFEST)) {
      return published;
    }
    int slash = published.lastIndexOf('/');
    String staged = attempt(staging(published.substring(0, slash)), published.substring(slash + 1));
    byte[] manifest = upload(staged, writer);
    try {
      publish(staged, published, manifest);
    } catch (IOException e) {
      // Somebody else may have been first with it; what is made here is always the same.
      if (!files().isFile(published + "/" + CheckpointStore.MANIFEST)) {
        throw e;
      }
    }
    files().delete(staged);
    return published;
  }

  /** As {@link CheckpointStore#put}. */
  void put(String path, FileWriter writer) throws IOException {
    String target = root.child(path);
    int slash = target.lastIndexOf('/');
    String staged = attempt(staging(target.substring(0, slash)), target.substring(slash + 1));
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
        LocalStore.delete(work);
      }
    }
    files().delete(target);
    files().move(staged, target);
  }

  @Override
  public List<Long> versions(String name) throws IOException {
    List<Long> visible = new ArrayList<>();
    for (long version : directories(files(), model(name))) {
      if (isVisible(files(), model(name), version)) {
        visible.add(version);
      }
    }
    return visible;
  }

  @Override
  public long latestVersion(String name) throws IOException {
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

  /** Versions of which anything is there, ascending. */
  private static List<Long> directories(RemoteFiles files, String model) throws IOException {
    return files.list(model).stream()
        .filter(RemoteFiles.Entry::isDirectory)
        .map(entry -> CheckpointStore.versionOf(entry.name()))
        .flatMapToLong(OptionalLong::stream)
        .sorted()
        .boxed()
        .toList();
  }

  private static boolean isVisible(RemoteFiles files, String model, long version)
      throws IOException {
    return files.isFile(
        model + "/" + CheckpointStore.versionName(version) + "/" + CheckpointStore.MANIFEST);
  }

  /** The manifest goes first: from then on there is no such version. */
  @Override
  public void retire(String name, long version) throws IOException {
    files().delete(uri(name, version) + "/" + CheckpointStore.MANIFEST);
    files().delete(uri(name, version));
  }

  @Override
  public void sweep(String name) throws IOException {
    long latest = latestVersion(name);
    for (long version : directories(files(), model(name))) {
      if (version < latest && !isVisible(files(), model(name), version)) {
        files().delete(uri(name, version));
      }
    }
  }

  @Override
  public Instant writtenAt(String name, long version) throws IOException {
    return files().modified(uri(name, version) + "/" + CheckpointStore.MANIFEST);
  }

  /** Schemes are left out of account: s3 and s3a are the same place. */
  @Override
  public boolean isAt(String location, String name, long version) {
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
    return !files.isFile(location.child(CheckpointStore.MANIFEST))
        && latest(files, uri.substring(0, slash)) > version.getAsLong();
  }

  @Override
  public String uri(String name, long version) {
    return model(name) + "/" + CheckpointStore.versionName(version);
  }

  private String model(String name) {
    return root.child(CheckpointStore.checkedName(name));
  }

  private static String staging(String model) {
    return model + "/" + STAGING;
  }
}
