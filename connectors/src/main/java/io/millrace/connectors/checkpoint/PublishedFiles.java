package io.millrace.connectors.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;

/** Copies a published checkpoint directory file by file, believing its digests and nothing else. */
final class PublishedFiles {
  private static final ObjectMapper JSON = new ObjectMapper();

  private PublishedFiles() {}

  /**
   * Copies the manifest and every file that it lists into an empty directory.
   *
   * @param manifestSha256 of the announcement
   * @throws IOException if a file cannot be read or is not what the manifest says
   */
  static void copy(Path from, Path to, String manifestSha256) throws IOException {
    Files.createDirectories(to);
    copyFile(
        from.resolve(CheckpointStore.MANIFEST),
        to.resolve(CheckpointStore.MANIFEST),
        manifestSha256);
    JsonNode files = JSON.readTree(to.resolve(CheckpointStore.MANIFEST).toFile()).path("files");
    if (!files.isObject() || files.isEmpty()) {
      throw new IOException(from + " has a manifest that lists no files");
    }
    for (Map.Entry<String, JsonNode> file : files.properties()) {
      // A name is a file of this directory, and never a way out of it.
      if (!file.getKey().matches("[A-Za-z0-9_][A-Za-z0-9._-]*")) {
        throw new IOException(from + " lists the file \"" + file.getKey() + "\"");
      }
      copyFile(
          from.resolve(file.getKey()),
          to.resolve(file.getKey()),
          file.getValue().path("sha256").asText());
    }
  }

  private static void copyFile(Path from, Path to, String sha256) throws IOException {
    MessageDigest digest = sha256();
    try (InputStream in = new DigestInputStream(Files.newInputStream(from), digest)) {
      Files.copy(in, to, StandardCopyOption.REPLACE_EXISTING);
    }
    String found = HexFormat.of().formatHex(digest.digest());
    if (!found.equals(sha256)) {
      throw new IOException(
          "%s has SHA-256 %s, not %s as announced".formatted(from, found, sha256));
    }
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
