package io.millrace.connectors.checkpoint.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.stream.Stream;

/** Operations on whole directory trees of the local disk. */
public final class Directories {
  private Directories() {}

  /** Deletes a directory with everything below it; does nothing when it does not exist. */
  public static void delete(Path tree) throws IOException {
    if (!Files.exists(tree)) {
      return;
    }
    Files.walkFileTree(
        tree,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /**
   * Forces a tree to disk. A Flink checkpoint may refer to it, so it must survive a power cut that
   * the Flink checkpoint survives.
   */
  static void sync(Path tree) throws IOException {
    try (Stream<Path> entries = Files.walk(tree)) {
      entries.forEach(Directories::syncEntry);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void syncEntry(Path entry) {
    try {
      if (Files.isDirectory(entry)) {
        syncDirectory(entry);
      } else {
        try (FileChannel file = FileChannel.open(entry, StandardOpenOption.WRITE)) {
          file.force(true);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Forces a directory's list of names to disk, without the content of its files. */
  static void syncDirectory(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
