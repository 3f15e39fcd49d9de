package io.millrace.cli.model;

import io.millrace.cli.option.UserException;

/** Checks of the options that several commands sample with. */
final class SamplingChecks {

  /** As in the configuration: no model has more positions. */
  private static final int MOST_TOKENS = 1 << 20;

  /** As in the configuration: lower temperatures are greedy in practice. */
  private static final float LOWEST_TEMPERATURE = 0.01f;

  private static final float HIGHEST_TEMPERATURE = 100;

  private SamplingChecks() {}

  /**
   * Checks {@code --max-tokens} and {@code --temperature}.
   *
   * @throws UserException naming the option and its range
   */
  static void require(int maxTokens, float temperature) {
    if (maxTokens < 1 || maxTokens > MOST_TOKENS) {
      throw new UserException(
          "--max-tokens must be from 1 to %d, not %d".formatted(MOST_TOKENS, maxTokens));
    }
    boolean inRange = temperature >= LOWEST_TEMPERATURE && temperature <= HIGHEST_TEMPERATURE;
    if (temperature != 0 && !inRange) {
      throw new UserException(
          "--temperature must be 0 or from 0.01 to 100, not %s".formatted(temperature));
    }
  }
}
