package io.millrace.cli.model;

import io.millrace.cli.option.UserException;
import io.millrace.model.sampling.SamplingOptions;
import picocli.CommandLine.Option;

/** Options of the commands that sample responses. */
public final class SamplingFlags {

  @Option(
      names = "--max-tokens",
      defaultValue = "64",
      description = "Most tokens of a response (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--temperature",
      defaultValue = "1.0",
      description =
          "Sampling temperature; 0 always takes the most likely token (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--top-p",
      defaultValue = "1.0",
      description = "Probability mass of nucleus sampling (default: ${DEFAULT-VALUE}).")
  private float topP;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed; the same one gives the same responses (default: ${DEFAULT-VALUE}).")
  private long seed;

  /**
   * Checks the options, before a checkpoint is read.
   *
   * @throws UserException naming the option and its range
   */
  public void require() {
    SamplingChecks.require(maxTokens, temperature);
    if (!(topP >= 0.001f && topP <= 1)) {
      throw new UserException("--top-p must be from 0.001 to 1, not %s".formatted(topP));
    }
  }

  public SamplingOptions options(int... stopTokens) {
    return new SamplingOptions(maxTokens, temperature, topP, stopTokens);
  }

  public long seed() {
    return seed;
  }
}
