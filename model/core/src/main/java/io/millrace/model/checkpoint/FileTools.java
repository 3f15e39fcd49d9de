package io.millrace.model.checkpoint;

import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Helpers for the files of a checkpoint: names, digests and durable writes. */
final class FileTools {
  private static final int LONGEST_NAME = 255;

  private FileTools() {}

  /**
   * Whether a name from an untrusted file is a plain file name, which cannot lead out of the
   * directory.
   */
  static boolean isPlainName(String name) {
    return !name.isEmpty()
        && name.length() <= LONGEST_NAME
        && !name.equals(".")
        && !name.equals("..")
        && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ');
  }

  /** SHA-256 of a file, in lower-case hexadecimal. */
  static String sha256(Path file) {
    try (InputStream in = new DigestInputStream(open(file), Sha256.newDigest())) {
      in.transferTo(OutputStream.nullOutputStream());
      return Sha256.finish(((DigestInputStream) in).getMessageDigest());
    } catch (IOException e) {
      throw CheckpointException.of(file, "cannot be read: " + PlainFiles.reason(e), e);
    }
  }

  private static InputStream open(Path file) throws IOException {
    return PlainFiles.open(file);
  }

  /**
   * Checks that no entry of a directory is a link that leads out of it. Otherwise a checkpoint from
   * elsewhere could copy any file of this machine into what is published or exported. Links to the
   * {@code blobs} of Hugging Face's cache are accepted.
   *
   * @param checked accepts the names of the entries to check
   * @throws CheckpointException naming the link
   */
  static void requireNoLinksOut(Path dir, Predicate<String> checked) throws IOException {
    Path real = dir.toRealPath();
    Path snapshots = real.getParent();
    boolean cached = snapshots != null && snapshots.endsWith("snapshots");
    for (String name : CheckpointVerifier.fileNames(dir)) {
      Path entry = dir.resolve(name);
      if (checked.test(name) && Files.isSymbolicLink(entry)) {
        Path target = entry.toRealPath();
        boolean inside =
            target.startsWith(real)
                || (cached && target.startsWith(snapshots.resolveSibling("blobs")));
        if (!inside) {
          throw CheckpointException.of(
              entry,
              "is a link to %s, outside the directory; copy that file here".formatted(target));
        }
      }
    }
  }

  /** Writes a new text file and forces it to disk. */
  static void writeText(Path file, String text) {
    try {
      Files.writeString(file, text, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      force(file);
    } catch (IOException e) {
      throw CheckpointException.of(file, "cannot be written: " + e, e);
    }
  }

  /** Forces a file, or the entries of a directory, to disk. */
  static void force(Path path) throws IOException {
    // A directory can be opened only for reading. On Linux and macOS that is enough to force it to
    // disk.
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Deletes a directory of plain files, if it exists. */
  static void deleteDirectory(Path dir) throws IOException {
    if (Files.isDirectory(dir)) {
      try (Stream<Path> files = Files.list(dir)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(dir);
    }
  }
}
