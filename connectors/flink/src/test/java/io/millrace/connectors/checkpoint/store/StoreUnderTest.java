package io.millrace.connectors.checkpoint.store;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The kinds of storage under test, with direct access to their files. */
public enum StoreUnderTest {
  /** A local directory. */
  LOCAL,
  /** A remote file system that renames directories in one step. */
  DIRECTORIES,
  /** An object store. */
  OBJECTS;

  /** The root of a new store. */
  public String root(Path temporary) {
    return switch (this) {
      case LOCAL -> temporary.resolve("store").toString();
      case DIRECTORIES -> InMemoryStore.freshDirectories() + "/models/all";
      case OBJECTS -> InMemoryStore.freshObjects() + "/models/all";
    };
  }

  /** The text of every file below a root, by its path below the root. */
  public static Map<String, String> files(String root) throws IOException {
    Map<String, String> files = new TreeMap<>();
    if (CheckpointStore.isLocal(root)) {
      Path directory = CheckpointStore.localPath(root);
      if (Files.exists(directory)) {
        try (Stream<Path> found = Files.walk(directory).filter(Files::isRegularFile)) {
          for (Path file : found.toList()) {
            files.put(directory.relativize(file).toString(), Files.readString(file));
          }
        }
      }
      return files;
    }
    InMemoryStore store = InMemoryStore.of(root);
    String prefix = URI.create(root).getPath().substring(1) + "/";
    for (String key : store.keys()) {
      if (key.startsWith(prefix)) {
        files.put(key.substring(prefix.length()), store.text(key));
      }
    }
    return files;
  }

  /** The files that a published checkpoint has below the root of its store. */
  static Map<String, String> published(String directory, String word) {
    Map<String, String> files = new TreeMap<>();
    TestCheckpoint.files(word).forEach((name, text) -> files.put(directory + "/" + name, text));
    return files;
  }
}
