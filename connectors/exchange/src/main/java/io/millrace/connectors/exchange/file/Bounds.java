package io.millrace.connectors.exchange.file;

import java.time.Duration;

/**
 * What a file may cost at most.
 *
 * @param mostBytes most bytes of the file's content, after decompression
 * @param mostRatio most bytes of content for each byte of a compressed file, once the content has
 *     more than {@code freeBytes}
 * @param freeBytes content that a compressed file may have at any ratio
 * @param mostRowBytes most bytes of one row; a line of JSON Lines has the limit of {@code
 *     TextLines}
 * @param patience how long the library for Parquet may take for some rows; damaged files can make
 *     it wait for ever
 */
public record Bounds(
    long mostBytes, int mostRatio, long freeBytes, int mostRowBytes, Duration patience) {

  /** 256 GiB; 300-fold beyond 256 MiB; rows of 16 MiB; two minutes. */
  public static final Bounds DEFAULT =
      new Bounds(256L << 30, 300, 256L << 20, 16 << 20, Duration.ofMinutes(2));

  public Bounds {
    if (mostBytes < 1 || mostRatio < 1 || freeBytes < 0 || mostRowBytes < 1) {
      throw new IllegalArgumentException(
          "bounds must be positive, not %d, %d, %d, %d"
              .formatted(mostBytes, mostRatio, freeBytes, mostRowBytes));
    }
  }
}
