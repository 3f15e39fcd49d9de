package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A directory of published checkpoints: {@code <root>/<name>/v000007}. A version is written under
 * {@code .staging} first and becomes visible whole, by one atomic rename.
 */
public final class CheckpointStore {

  private static final Pattern VERSION = Pattern.compile("v(\\d+)");
  private static final String MANIFEST = "millrace.json";

  private final Path root;

  public CheckpointStore(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  /** Where a version is, or will be, visible. */
  public Path directory(String name, long version) {
    return root.resolve(name).resolve("v%06d".formatted(version));
  }

  /** Where a version is written first. What an attempt that failed left there is removed. */
  public Path emptyStagingDirectory(String name, long version) throws IOException {
    Path staging = root.resolve(name).resolve(".staging").resolve("v%06d".formatted(version));
    delete(staging);
    Files.createDirectories(staging.getParent());
    return staging;
  }

  /** The highest version of a name that is visible, 0 where there is none. */
  public long latestVersion(String name) throws IOException {
    Path directory = root.resolve(name);
    if (!Files.isDirectory(directory)) {
      return 0;
    }
    try (Stream<Path> children = Files.list(directory)) {
      return children
          .map(child -> VERSION.matcher(child.getFileName().toString()))
          .filter(Matcher::matches)
          .mapToLong(matcher -> Long.parseLong(matcher.group(1)))
          .max()
          .orElse(0);
    }
  }

  /**
   * Makes a staged version visible. Done again it changes nothing.
   *
   * @param manifestSha256 of the staged version, by which an earlier attempt's is known
   * @throws IOException where neither directory is there, or another checkpoint is in the place
   */
  static void publish(Path staged, Path published, String manifestSha256) throws IOException {
    if (Files.isDirectory(published)) {
      String there = sha256(published.resolve(MANIFEST));
      if (!there.equals(manifestSha256)) {
        throw new IOException(
            published
                + " holds another checkpoint already (manifest "
                + there
                + "): two jobs must not publish the same model to one store");
      }
      delete(staged);
      return;
    }
    if (!Files.isDirectory(staged)) {
      throw new IOException(
          "neither " + staged + " nor " + published + " exists: was the store cleaned by hand?");
    }
    try {
      Files.move(staged, published, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      throw new IOException("the file system of " + published + " has no atomic rename", e);
    }
  }

  private static String sha256(Path file) throws IOException {
    try {
      return HexFormat.of()
          .formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java runtime has SHA-256", e);
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    List<Path> paths;
    try (Stream<Path> walk = Files.walk(directory)) {
      paths = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : paths) {
      Files.delete(path);
    }
  }
}
