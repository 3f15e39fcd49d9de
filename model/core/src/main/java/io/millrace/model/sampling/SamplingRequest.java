package io.millrace.model.sampling;

import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/**
 * A prompt and the number of responses to sample for it.
 *
 * @param prompt token ids, at least one
 * @param seeds seed of the random stream of each response, {@code [samples]}
 * @param options for all responses
 * @param temperatures temperature of each response in place of that of the options, {@code
 *     [samples]}; empty for the options' own
 */
public record SamplingRequest(
    int[] prompt, long[] seeds, SamplingOptions options, float... temperatures) {

  public SamplingRequest {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("the prompt has no tokens; give it at least one");
    }
    if (seeds.length == 0) {
      throw new IllegalArgumentException("the request has no seeds; give one for each response");
    }
    temperatures = temperatures.clone();
    if (temperatures.length != 0 && temperatures.length != seeds.length) {
      throw new IllegalArgumentException(
          "%d temperatures for %d responses; give one for each response, or none"
              .formatted(temperatures.length, seeds.length));
    }
    for (float temperature : temperatures) {
      SamplingOptions.requireTemperature(temperature);
    }
  }

  /** A request for one response. */
  public static SamplingRequest single(int[] prompt, long seed, SamplingOptions options) {
    return new SamplingRequest(prompt, new long[] {seed}, options);
  }

  /**
   * The seed for a response, from its id: the 64-bit FNV-1a hash of the id, mixed with the seed of
   * the run.
   */
  public static long seed(long runSeed, String responseId) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : responseId.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return new SplittableRandom(runSeed ^ hash).nextLong();
  }

  /** Number of responses. */
  public int samples() {
    return seeds.length;
  }

  /** The sampling temperature of a response. */
  public float temperature(int sample) {
    return temperatures.length == 0 ? options.temperature() : temperatures[sample];
  }

  /** Maximum tokens of the prompt and a response together. */
  int longest() {
    return prompt.length + options.maxTokens();
  }
}
