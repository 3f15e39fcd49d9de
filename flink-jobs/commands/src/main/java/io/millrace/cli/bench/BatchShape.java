package io.millrace.cli.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Sizes of a batch of rollouts.
 *
 * @param batch rollouts
 * @param length tokens of each, response included
 * @param response tokens of each that belong to the response
 */
record BatchShape(int batch, int length, int response) {

  BatchShape {
    if (response < 1 || response >= length) {
      throw new IllegalArgumentException(
          "--response must be at least 1 and below --length %d, not %d"
              .formatted(length, response));
    }
  }

  /** The sizes by name, for {@link BenchLine}. */
  Map<String, Integer> lengths() {
    Map<String, Integer> lengths = new LinkedHashMap<>();
    lengths.put("batch", batch);
    lengths.put("length", length);
    lengths.put("response", response);
    return lengths;
  }
}
