package io.millrace.world;

import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;

/** Random streams by seed and name: a draw never depends on the order of other draws. */
final class DemoRandom {

  private DemoRandom() {}

  static SplittableRandom of(long seed, String name) {
    CRC32C crc = new CRC32C();
    crc.update(name.getBytes(StandardCharsets.UTF_8));
    return new SplittableRandom(seed * 0x9E3779B97F4A7C15L + crc.getValue()).split();
  }
}
