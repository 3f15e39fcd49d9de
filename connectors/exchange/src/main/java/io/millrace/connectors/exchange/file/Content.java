package io.millrace.connectors.exchange.file;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import io.millrace.schemas.PlainFiles;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;

/**
 * The content of a file from outside: plain, or compressed by gzip or zstd, whatever its name.
 * Decompression is bounded, see {@link Bounds}.
 */
final class Content implements AutoCloseable {
  /** As many bytes as {@link #beginning} has at most. */
  private static final int BEGINNING = 64 << 10;

  /** A window of 128 MiB, the most that zstd uses without being asked for more. */
  private static final int MOST_ZSTD_WINDOW_LOG = 27;

  private final long size;
  private final CountedStream file;
  private final BufferedInputStream content;

  private Content(long size, CountedStream file, BufferedInputStream content) {
    this.size = size;
    this.file = file;
    this.content = content;
  }

  /**
   * Opens a file.
   *
   * @throws java.nio.file.FileSystemException if it is a pipe, a device or a directory
   */
  static Content open(Path path, Bounds bounds) throws IOException {
    InputStream in = PlainFiles.open(path);
    try {
      CountedStream file = new CountedStream(in);
      BufferedInputStream buffered = new BufferedInputStream(file, BEGINNING);
      byte[] magic = peek(buffered, 4);
      InputStream expanded = expanded(buffered, magic);
      boolean compressed = isCompressed(magic);
      BufferedInputStream content =
          new BufferedInputStream(bounded(expanded, compressed ? file : null, bounds), BEGINNING);
      if (compressed && isCompressed(peek(content, 4))) {
        throw new IOException(path + " is compressed twice; expand it once");
      }
      return new Content(Files.size(path), file, content);
    } catch (IOException e) {
      in.close();
      throw e;
    }
  }

  private static InputStream expanded(InputStream in, byte[] magic) throws IOException {
    if (isGzip(magic)) {
      return new GZIPInputStream(in, BEGINNING);
    }
    return isZstd(magic) ? new ZstdInputStreamNoFinalizer(in).setLongMax(MOST_ZSTD_WINDOW_LOG) : in;
  }

  private static boolean isCompressed(byte[] magic) {
    return isGzip(magic) || isZstd(magic);
  }

  private static boolean isGzip(byte[] magic) {
    return magic.length >= 2 && magic[0] == 0x1F && magic[1] == (byte) 0x8B;
  }

  private static boolean isZstd(byte[] magic) {
    return Arrays.equals(magic, new byte[] {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD});
  }

  private static InputStream bounded(InputStream in, CountedStream compressed, Bounds bounds) {
    return new CountedStream(in) {
      @Override
      void add(long bytes) throws IOException {
        super.add(bytes);
        if (count() > bounds.mostBytes()) {
          throw new IOException(
              "it has more than %d bytes of content; split it".formatted(bounds.mostBytes()));
        }
        if (compressed != null
            && count() > bounds.freeBytes()
            && count() / bounds.mostRatio() > compressed.count()) {
          throw new IOException(
              "its content is more than %d times as large as the compressed file, and has more than %d bytes; if it is really so, expand it first"
                  .formatted(bounds.mostRatio(), bounds.freeBytes()));
        }
      }
    };
  }

  /** Damage after the first byte is reported when the bytes are read. */
  private static byte[] peek(BufferedInputStream in, int most) throws IOException {
    byte[] found = new byte[most];
    int length = 0;
    in.mark(most);
    try {
      for (int next = in.read(); next >= 0; next = length < most ? in.read() : -1) {
        found[length++] = (byte) next;
      }
    } catch (IOException e) {
      if (length == 0) {
        throw e;
      }
    }
    in.reset();
    return Arrays.copyOf(found, length);
  }

  /** The first bytes, which stay to be read. */
  byte[] beginning() throws IOException {
    return peek(content, BEGINNING);
  }

  InputStream stream() {
    return content;
  }

  double progress() {
    return size == 0 ? 1 : Math.min(1, (double) file.count() / size);
  }

  @Override
  public void close() throws IOException {
    content.close();
  }
}
