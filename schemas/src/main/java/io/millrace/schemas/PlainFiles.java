package io.millrace.schemas;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Reads files from outside, whole ones within a limit. Pipes and devices are refused: one may never
 * end, and opening the other may never return. No other code opens files to read them; a test of
 * the architecture checks that.
 */
public final class PlainFiles {
  private PlainFiles() {}

  /**
   * The content of a file.
   *
   * @param most the most bytes it may have
   * @throws NoSuchFileException if there is no such file
   * @throws FileSystemException if it is no plain file, or has more bytes
   * @throws IOException if it cannot be read
   */
  public static byte[] read(Path file, int most) throws IOException {
    try (InputStream in = open(file)) {
      // The size is known before anything is read, unless the file grows.
      byte[] bytes = Files.size(file) > most ? null : in.readNBytes(most);
      if (bytes == null || in.read() >= 0) {
        throw new FileSystemException(
            file.toString(), null, "has more than %d bytes".formatted(most));
      }
      return bytes;
    }
  }

  /**
   * The content of a text file in UTF-8.
   *
   * @throws java.nio.charset.CharacterCodingException if it is not UTF-8
   * @throws IOException as {@link #read}
   */
  public static String readText(Path file, int most) throws IOException {
    return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(read(file, most))).toString();
  }

  /**
   * Opens a file that is read piece by piece, or line by line.
   *
   * @throws NoSuchFileException if there is no such file
   * @throws FileSystemException if it is no plain file
   */
  public static InputStream open(Path file) throws IOException {
    require(file);
    return Files.newInputStream(file);
  }

  /** Why a file cannot be read, in words and without its name. */
  public static String reason(IOException e) {
    return switch (e) {
      case FileSystemException known when known.getReason() != null -> known.getReason();
      case NoSuchFileException _ -> "it does not exist";
      case AccessDeniedException _ -> "no permission";
      default -> e.getMessage() == null ? e.toString() : e.getMessage();
    };
  }

  /**
   * Checks that a path is a plain file or a link to one.
   *
   * @throws IOException as {@link #read}
   */
  public static void require(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(file.toString());
    }
    if (!Files.isRegularFile(file)) {
      throw new FileSystemException(
          file.toString(),
          null,
          Files.isDirectory(file)
              ? "is a directory, not a file"
              : "is a pipe or a device, not a plain file; copy its content to a file");
    }
  }
}
