package io.millrace.model.sampling;

import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/**
 * A prompt and the responses wanted of it.
 *
 * @param prompt its tokens, at least one
 * @param seeds of each response's random stream, {@code [samples]}
 * @param options how each is sampled
 * @param temperatures of each response in place of the options' own, {@code [samples]}; none: all
 *     have the options'
 */
public record SamplingRequest(
    int[] prompt, long[] seeds, SamplingOptions options, float... temperatures) {

  public SamplingRequest {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("a prompt needs at least one token");
    }
    if (seeds.length == 0) {
      throw new IllegalArgumentException("a request needs a seed for each response, at least one");
    }
    temperatures = temperatures.clone();
    if (temperatures.length != 0 && temperatures.length != seeds.length) {
      throw new IllegalArgumentException(
          "%d temperatures are given for %d responses"
              .formatted(temperatures.length, seeds.length));
    }
    for (float temperature : temperatures) {
      SamplingOptions.requireTemperature(temperature);
    }
  }

  /** One response. */
  public static SamplingRequest single(int[] prompt, long seed, SamplingOptions options) {
    return new SamplingRequest(prompt, new long[] {seed}, options);
  }

  /** The seed of a response's random stream: FNV-1a of its id, stirred with the run's seed. */
  public static long seed(long runSeed, String responseId) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : responseId.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return new SplittableRandom(runSeed ^ hash).nextLong();
  }

  public int samples() {
    return seeds.length;
  }

  /** The temperature that a response is sampled at. */
  public float temperature(int sample) {
    return temperatures.length == 0 ? options.temperature() : temperatures[sample];
  }

  /** Tokens of the prompt and a longest response. */
  int longest() {
    return prompt.length + options.maxTokens();
  }
}
