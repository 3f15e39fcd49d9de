package io.millrace.jobs.erasure;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/**
 * Finds any of many byte strings in a stream, in bounded memory. A stream compressed by gzip is
 * searched uncompressed.
 */
final class TextSearch {

  /** Bytes that every pattern has at least; their value as a long finds candidates. */
  static final int WINDOW = Long.BYTES;

  private static final int BUFFER_BYTES = 1 << 18;
  private static final int FILTER_BITS = 20;

  private final Map<Long, List<byte[]>> patterns = new HashMap<>();
  private final BitSet filter = new BitSet(1 << FILTER_BITS);
  private final int longest;

  /**
   * @param patterns each of at least {@link #WINDOW} bytes
   */
  TextSearch(Collection<byte[]> patterns) {
    int most = WINDOW;
    for (byte[] pattern : patterns) {
      long first = 0;
      for (int i = 0; i < WINDOW; i++) {
        first = first << Byte.SIZE | (pattern[i] & 0xFF);
      }
      this.patterns.computeIfAbsent(first, value -> new ArrayList<>()).add(pattern);
      filter.set(bit(first));
      most = Math.max(most, pattern.length);
    }
    longest = most;
  }

  private static int bit(long window) {
    return (int) ((window * 0x9E3779B97F4A7C15L) >>> (Long.SIZE - FILTER_BITS));
  }

  /** Whether a stream contains one of the patterns. */
  boolean isIn(InputStream stream) throws IOException {
    if (patterns.isEmpty()) {
      return false;
    }
    InputStream in = uncompressed(new BufferedInputStream(stream));
    byte[] buffer = new byte[BUFFER_BYTES + longest];
    int length = 0;
    while (true) {
      int read = in.readNBytes(buffer, length, buffer.length - length);
      length += read;
      boolean ended = length < buffer.length;
      // A pattern that begins behind this may not be whole yet.
      int end = ended ? length : length - longest + 1;
      if (isIn(buffer, end, length)) {
        return true;
      }
      if (ended) {
        return false;
      }
      System.arraycopy(buffer, end, buffer, 0, length - end);
      length -= end;
    }
  }

  private boolean isIn(byte[] buffer, int end, int length) {
    if (length < WINDOW) {
      return false;
    }
    long window = 0;
    for (int i = 0; i < WINDOW - 1; i++) {
      window = window << Byte.SIZE | (buffer[i] & 0xFF);
    }
    for (int at = 0; at < Math.min(end, length - WINDOW + 1); at++) {
      window = window << Byte.SIZE | (buffer[at + WINDOW - 1] & 0xFF);
      if (filter.get(bit(window)) && matches(window, buffer, at, length)) {
        return true;
      }
    }
    return false;
  }

  private boolean matches(long window, byte[] buffer, int at, int length) {
    for (byte[] pattern : patterns.getOrDefault(window, List.of())) {
      if (at + pattern.length <= length
          && Arrays.equals(buffer, at, at + pattern.length, pattern, 0, pattern.length)) {
        return true;
      }
    }
    return false;
  }

  private static InputStream uncompressed(BufferedInputStream in) throws IOException {
    in.mark(2);
    boolean compressed = in.read() == 0x1F && in.read() == 0x8B;
    in.reset();
    return compressed ? new GZIPInputStream(in) : in;
  }
}
