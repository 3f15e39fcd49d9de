package io.millrace.model.sampling;

/** Gets each token of a {@link SamplingEngine} in the step that samples it. */
@FunctionalInterface
public interface TokenListener {

  /**
   * A token was sampled.
   *
   * @param sample index of the response among those of the request
   * @param token the last one of a response may be a stop token
   */
  void sampled(SamplingRequest request, int sample, SampledToken token);
}
