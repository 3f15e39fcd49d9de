package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.wire.MillraceJson;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WriterSchemas;
import java.io.RandomAccessFile;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlainFilesTest {
  @TempDir Path directory;

  private static void refuses(String reason, Path file) {
    var e =
        assertTimeoutPreemptively(
            Duration.ofSeconds(20),
            () -> assertThrows(FileSystemException.class, () -> PlainFiles.read(file, 100)));
    assertTrue(e.getReason().contains(reason), e.getMessage());
  }

  @Test
  void readsFilesUpToTheLimit() throws Exception {
    Path file = Files.write(directory.resolve("f"), new byte[100]);
    assertArrayEquals(new byte[100], PlainFiles.read(file, 100));
    Path link = Files.createSymbolicLink(directory.resolve("link"), file);
    assertEquals(100, PlainFiles.read(link, 100).length);
    Files.write(file, new byte[101]);
    refuses("has more than 100 bytes", file);
    assertThrows(NoSuchFileException.class, () -> PlainFiles.read(directory.resolve("none"), 100));
    Files.write(file, new byte[] {(byte) 0xE9});
    assertThrows(CharacterCodingException.class, () -> PlainFiles.readText(file, 100));
  }

  @Test
  void neverOpensPipesAndDevices() throws Exception {
    refuses("is a directory", directory);
    refuses("a pipe or a device", Path.of("/dev/zero"));
    Path pipe = directory.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    refuses("a pipe or a device", pipe);
  }

  private interface Reader {
    void read(Path file) throws Exception;
  }

  private static void everyReaderRefuses(String reason, Path file, Map<String, Reader> readers) {
    readers.forEach(
        (name, reader) -> {
          var e =
              assertTimeoutPreemptively(
                  Duration.ofSeconds(20),
                  () -> assertThrows(FileSystemException.class, () -> reader.read(file), name),
                  name);
          assertEquals(file.toString(), e.getFile(), name);
          assertTrue(e.getReason().contains(reason), name + ": " + e.getMessage());
        });
  }

  private record Empty() {}

  /** Readers of JSON, schemas and lines. */
  @Test
  void everyReaderRefusesPipesDevicesAndFilesThatAreTooLarge() throws Exception {
    Path schemas = Files.createDirectories(directory.resolve("schemas"));
    Reader json = file -> MillraceJson.read(file, Empty.class, "record of nothing");
    Reader schema =
        file -> {
          Path link = schemas.resolve("a.avsc");
          Files.deleteIfExists(link);
          try {
            WriterSchemas.fromDirectory(Files.createSymbolicLink(link, file).getParent());
          } catch (FileSystemException e) {
            throw new FileSystemException(file.toString(), null, e.getReason());
          }
        };
    Reader lines = file -> TextLines.of(file).close();
    Map<String, Reader> all = Map.of("JSON", json, "schemas", schema, "lines", lines);
    everyReaderRefuses("a pipe or a device", Path.of("/dev/zero"), all);
    Path pipe = directory.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    everyReaderRefuses("a pipe or a device", pipe, all);
    Path large = directory.resolve("large");
    try (RandomAccessFile file = new RandomAccessFile(large.toFile(), "rw")) {
      file.setLength(1L << 32);
    }
    // Lines are read one by one, and have a limit of their own.
    everyReaderRefuses("has more than", large, Map.of("JSON", json, "schemas", schema));
  }
}
