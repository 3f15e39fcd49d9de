package io.millrace.connectors.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** Copies a published checkpoint directory file by file, believing its digests and nothing else. */
final class PublishedFiles {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MOST_OF_A_MANIFEST = 1 << 26;

  private PublishedFiles() {}

  /**
   * A file that a manifest lists.
   *
   * @param name a file of the manifest's directory
   * @param sha256 in hexadecimal
   * @param size bytes; negative where the manifest does not tell
   */
  record ListedFile(String name, String sha256, long size) {
    /** Reads all of it from where it is a file of no bytes, or from a stream. */
    private InputStream from(CheckpointLocation directory) throws IOException {
      return size == 0 ? new ByteArrayInputStream(new byte[0]) : directory.open(name);
    }
  }

  /**
   * The files that a manifest lists.
   *
   * @param where it lies, for errors
   */
  static List<ListedFile> listed(byte[] manifest, String where) throws IOException {
    JsonNode files;
    try {
      files = JSON.readTree(manifest).path("files");
    } catch (JsonProcessingException e) {
      throw new UnusableCheckpointException(where + " has a manifest that is not JSON");
    }
    if (!files.isObject() || files.isEmpty()) {
      throw new UnusableCheckpointException(where + " has a manifest that lists no files");
    }
    List<ListedFile> listed = new ArrayList<>();
    for (Map.Entry<String, JsonNode> file : files.properties()) {
      // A name is a file of this directory, and never a way out of it.
      if (!file.getKey().matches("[A-Za-z0-9_][A-Za-z0-9._-]*")
          || file.getKey().equals(CheckpointStore.MANIFEST)) {
        throw new UnusableCheckpointException(where + " lists the file \"" + file.getKey() + "\"");
      }
      listed.add(
          new ListedFile(
              file.getKey(),
              file.getValue().path("sha256").asText(),
              file.getValue().path("size").asLong(-1)));
    }
    return listed;
  }

  /** The manifest of a directory; empty where it has none. */
  static Optional<byte[]> manifest(CheckpointLocation from) throws IOException {
    if (from.size(CheckpointStore.MANIFEST).isEmpty()) {
      return Optional.empty();
    }
    try (InputStream in = from.open(CheckpointStore.MANIFEST)) {
      return Optional.of(in.readNBytes(MOST_OF_A_MANIFEST));
    }
  }

  /**
   * Copies the manifest and every file that it lists into an empty directory.
   *
   * @param manifestSha256 of the announcement
   * @throws IOException if a file cannot be read; an {@link UnusableCheckpointException} if it is
   *     not there or not what the manifest says
   */
  static void copy(CheckpointLocation from, Path to, String manifestSha256) throws IOException {
    copy(from, to, manifestSha256, _ -> true);
  }

  /**
   * Copies the manifest and those of the files that are wanted; of the others it is checked that
   * they are there in their size.
   */
  static void copy(
      CheckpointLocation from, Path to, String manifestSha256, Predicate<String> wanted)
      throws IOException {
    byte[] manifest =
        manifest(from)
            .orElseThrow(
                () -> new UnusableCheckpointException(from + " is no published checkpoint"));
    if (!sha256(manifest).equals(manifestSha256)) {
      throw new UnusableCheckpointException(
          "%s holds another checkpoint than was announced (manifest %s, not %s)"
              .formatted(from, sha256(manifest), manifestSha256));
    }
    Files.createDirectories(to);
    for (ListedFile file : listed(manifest, from.toString())) {
      if (wanted.test(file.name())) {
        copyFile(from, file, to.resolve(file.name()));
      } else {
        requireSize(from, file);
      }
    }
    Files.write(to.resolve(CheckpointStore.MANIFEST), manifest);
  }

  private static void copyFile(CheckpointLocation from, ListedFile file, Path to)
      throws IOException {
    MessageDigest digest = sha256();
    try (InputStream in = new DigestInputStream(file.from(from), digest)) {
      Files.copy(in, to, StandardCopyOption.REPLACE_EXISTING);
    } catch (NoSuchFileException e) {
      throw new UnusableCheckpointException(from + " has no file " + file.name());
    }
    String found = HexFormat.of().formatHex(digest.digest());
    if (!found.equals(file.sha256())) {
      throw new UnusableCheckpointException(
          "%s/%s has SHA-256 %s, not %s as its manifest says"
              .formatted(from, file.name(), found, file.sha256()));
    }
  }

  private static void requireSize(CheckpointLocation from, ListedFile file) throws IOException {
    Optional<Long> size = from.size(file.name());
    if (file.size() > 0 && !size.equals(Optional.of(file.size()))) {
      throw new UnusableCheckpointException(
          "%s/%s %s, where its manifest says %d bytes"
              .formatted(
                  from,
                  file.name(),
                  size.map(bytes -> "has " + bytes + " bytes").orElse("is not there"),
                  file.size()));
    }
  }

  static String sha256(byte[] content) {
    return HexFormat.of().formatHex(sha256().digest(content));
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
