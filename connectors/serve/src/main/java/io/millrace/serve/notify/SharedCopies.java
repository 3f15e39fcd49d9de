package io.millrace.serve.notify;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Directories;
import io.millrace.schemas.PolicyCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies of versions in a directory that engines read. A copy stays while an endpoint uses it or a
 * link points at it.
 *
 * <pre>
 * directory/policy-v000012           a version
 * directory/current-NAME             link of the endpoint NAME to its version
 * </pre>
 */
final class SharedCopies {

  private static final Logger LOG = LoggerFactory.getLogger(SharedCopies.class);

  private final Path directory;
  private final String model;
  private final Optional<String> engineDirectory;

  /** What each endpoint uses. */
  private final Map<String, Set<Path>> used = new HashMap<>();

  SharedCopies(NotifySettings settings) throws IOException {
    this.directory = settings.directory().toAbsolutePath().normalize();
    this.model = settings.model();
    this.engineDirectory = settings.engineDirectory();
    Files.createDirectories(directory);
  }

  /** The link of an endpoint. */
  Path link(String endpoint) {
    return directory.resolve("current-" + endpoint);
  }

  /**
   * A verified copy of a version, for an endpoint. An earlier copy with the announced manifest is
   * taken as it is.
   */
  synchronized EngineVersion take(String endpoint, PolicyCheckpoint announcement)
      throws IOException {
    Path copy = directory.resolve(name(announcement.getVersion()));
    if (!isCopyOf(copy, announcement)) {
      CheckpointStore.copy(announcement.getUri(), announcement.getManifestSha256(), copy);
    }
    used.computeIfAbsent(endpoint, _ -> new HashSet<>()).add(copy);
    return EngineVersion.of(model, announcement.getVersion(), copy, seen(copy));
  }

  /** The copy of a version that an earlier process made; empty if it is gone. */
  synchronized Optional<EngineVersion> find(String endpoint, long version) {
    Path copy = directory.resolve(name(version));
    if (!Files.isDirectory(copy)) {
      return Optional.empty();
    }
    used.computeIfAbsent(endpoint, _ -> new HashSet<>()).add(copy);
    return Optional.of(EngineVersion.of(model, version, copy, seen(copy)));
  }

  private String name(long version) {
    return "%s-v%06d".formatted(model, version);
  }

  /** A copy's path as the engines see it. */
  private String seen(Path copy) {
    return engineDirectory
        .map(path -> path.replaceAll("/+$", "") + "/" + copy.getFileName())
        .orElse(copy.toString());
  }

  private static boolean isCopyOf(Path copy, PolicyCheckpoint announcement) {
    try {
      return CheckpointStore.resolve(copy.toString(), announcement.getManifestSha256())
          .equals(copy);
    } catch (IOException _) {
      return false;
    }
  }

  /** An endpoint uses these versions alone from now on. Deletes what nobody uses. */
  synchronized void keep(String endpoint, List<EngineVersion> versions) {
    Set<Path> kept = new HashSet<>();
    versions.forEach(version -> kept.add(version.directory()));
    used.put(endpoint, kept);
    try (Stream<Path> files = Files.list(directory)) {
      Set<Path> inUse = new HashSet<>();
      used.values().forEach(inUse::addAll);
      List<Path> all = files.toList();
      for (Path file : all) {
        if (Files.isSymbolicLink(file)) {
          inUse.add(directory.resolve(Files.readSymbolicLink(file)));
        }
      }
      for (Path file : all) {
        String name = file.getFileName().toString();
        if (name.startsWith(model + "-v")
            && name.substring(model.length() + 2).matches("\\d{6,18}")
            && !inUse.contains(file)) {
          Directories.delete(file);
        }
      }
    } catch (IOException e) {
      LOG.warn("Old copies in {} cannot be deleted: {}", directory, e.toString());
    }
  }
}
