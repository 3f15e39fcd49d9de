package io.millrace.model.sampling;

/**
 * Options for sampling a response.
 *
 * @param maxTokens maximum tokens of a response, the stop token included
 * @param temperature divides the logits; at 0 the token with the highest logit is taken
 * @param topP probability mass of the nucleus: a token is sampled from the smallest set of the most
 *     probable tokens that holds this mass (Holtzman et al., arXiv 1904.09751, section 3.1); 1
 *     keeps all tokens
 * @param stopTokens token ids; a response ends after any of them
 */
public record SamplingOptions(int maxTokens, float temperature, float topP, int... stopTokens) {

  public SamplingOptions {
    if (maxTokens < 1) {
      throw new IllegalArgumentException("maxTokens must be at least 1, not " + maxTokens);
    }
    requireTemperature(temperature);
    if (!(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException("topP must be in (0, 1], not " + topP);
    }
    stopTokens = stopTokens.clone();
  }

  static void requireTemperature(float temperature) {
    if (!(temperature >= 0) || Float.isInfinite(temperature)) {
      throw new IllegalArgumentException(
          "temperature must be at least 0 and finite, not " + temperature);
    }
  }

  boolean stopsAt(int token) {
    for (int stop : stopTokens) {
      if (stop == token) {
        return true;
      }
    }
    return false;
  }
}
