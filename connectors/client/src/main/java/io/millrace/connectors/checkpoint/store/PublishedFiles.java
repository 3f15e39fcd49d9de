package io.millrace.connectors.checkpoint.store;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.Sha256;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Copies a published checkpoint directory file by file. Every file must have the digest that the
 * manifest gives, and the manifest the digest that was announced.
 */
final class PublishedFiles {
  private static final ObjectMapper JSON = new ObjectMapper();

  private PublishedFiles() {}

  /**
   * A file that a manifest lists.
   *
   * @param name its name in the manifest's directory
   * @param sha256 its digest, in hexadecimal
   * @param size bytes; negative when the manifest does not give it
   */
  record ListedFile(String name, String sha256, long size) {
    /** The file's content. An empty file is not opened: some object stores cannot read one. */
    private InputStream open(CheckpointLocation directory) throws IOException {
      return size == 0 ? new ByteArrayInputStream(new byte[0]) : directory.open(name);
    }
  }

  /**
   * The files that a manifest lists.
   *
   * @param directory the manifest's directory, for error messages
   * @throws UnusableCheckpointException when the manifest is not JSON, lists no files, or lists a
   *     name that is not a plain file name
   */
  static List<ListedFile> listed(byte[] manifest, String directory) throws IOException {
    JsonNode files;
    try {
      files = JSON.readTree(manifest).path("files");
    } catch (JsonProcessingException e) {
      throw badManifest(directory, "is not JSON");
    }
    if (!files.isObject() || files.isEmpty()) {
      throw badManifest(directory, "lists no files under \"files\"");
    }
    List<ListedFile> listed = new ArrayList<>();
    for (Map.Entry<String, JsonNode> file : files.properties()) {
      // A name with a path in it could lead out of the directory.
      if (!file.getKey().matches("[A-Za-z0-9_][A-Za-z0-9._-]*")
          || file.getKey().equals(CheckpointStore.MANIFEST)) {
        throw badManifest(
            directory,
            "lists the file \"%s\"; a name holds letters, digits, '.', '_' and '-' only"
                .formatted(file.getKey()));
      }
      listed.add(
          new ListedFile(
              file.getKey(),
              file.getValue().path("sha256").asText(),
              file.getValue().path("size").asLong(-1)));
    }
    return listed;
  }

  private static UnusableCheckpointException badManifest(String directory, String problem) {
    return new UnusableCheckpointException(
        "%s: its manifest %s %s".formatted(directory, CheckpointStore.MANIFEST, problem));
  }

  /** The manifest of a directory; empty when it has none. */
  static Optional<byte[]> manifest(CheckpointLocation from) throws IOException {
    if (from.size(CheckpointStore.MANIFEST).isEmpty()) {
      return Optional.empty();
    }
    try (InputStream in = from.open(CheckpointStore.MANIFEST)) {
      return Optional.of(readManifest(in, from + "/" + CheckpointStore.MANIFEST));
    }
  }

  /**
   * Reads a manifest.
   *
   * @param name of the file, for the error message
   * @throws IOException when it is too large
   */
  static byte[] readManifest(InputStream in, String name) throws IOException {
    byte[] content = in.readNBytes(CheckpointStore.MAX_MANIFEST_BYTES + 1);
    if (content.length > CheckpointStore.MAX_MANIFEST_BYTES) {
      throw new IOException(
          "%s is larger than %d bytes, the limit for a manifest"
              .formatted(name, CheckpointStore.MAX_MANIFEST_BYTES));
    }
    return content;
  }

  /**
   * Copies the manifest and every file that it lists into a directory, which is created.
   *
   * @param manifestSha256 the announced digest of the manifest
   * @throws UnusableCheckpointException when a file is missing or differs from the manifest
   * @throws IOException when a file cannot be read or written
   */
  static void copy(CheckpointLocation from, Path to, String manifestSha256) throws IOException {
    copy(from, to, manifestSha256, _ -> true);
  }

  /**
   * Copies the manifest and the wanted files. Of every other file it checks that the size is the
   * manifest's.
   *
   * @param wanted accepts a file name
   */
  static void copy(
      CheckpointLocation from, Path to, String manifestSha256, Predicate<String> wanted)
      throws IOException {
    byte[] manifest =
        manifest(from)
            .orElseThrow(
                () ->
                    new UnusableCheckpointException(
                        "%s is no published checkpoint: it has no %s"
                            .formatted(from, CheckpointStore.MANIFEST)));
    requireAnnounced(from.toString(), Sha256.of(manifest), manifestSha256);
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

  /**
   * Compares a manifest's digest with the announced one.
   *
   * @throws UnusableCheckpointException when they differ
   */
  static void requireAnnounced(String directory, String found, String announced)
      throws UnusableCheckpointException {
    if (!found.equals(announced)) {
      throw new UnusableCheckpointException(
          "%s holds another checkpoint than was announced (SHA-256 of its %s is %s, not %s)"
              .formatted(directory, CheckpointStore.MANIFEST, found, announced));
    }
  }

  private static void copyFile(CheckpointLocation from, ListedFile file, Path to)
      throws IOException {
    MessageDigest digest = Sha256.newDigest();
    try (InputStream in = new DigestInputStream(file.open(from), digest)) {
      Files.copy(in, to, StandardCopyOption.REPLACE_EXISTING);
    } catch (NoSuchFileException e) {
      throw new UnusableCheckpointException(
          "%s has no file %s, which its manifest lists".formatted(from, file.name()));
    }
    String found = Sha256.finish(digest);
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
                  size.map(bytes -> "has " + bytes + " bytes").orElse("is missing"),
                  file.size()));
    }
  }
}
