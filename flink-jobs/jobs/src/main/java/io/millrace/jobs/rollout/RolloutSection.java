package io.millrace.jobs.rollout;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;

/** Sampling responses with the latest policy. */
public record RolloutSection(
    @Option(value = "1", help = "Responses sampled for each prompt.", min = "1")
        int samplesPerPrompt,
    @Option(
            value = "32",
            help = "Responses sampled together; a finished one's place is taken at once.",
            min = "1")
        int batchSize,
    @Option(
            value = "0",
            help =
                "Tokens whose keys and values are kept, prompts' included; 0: as many as batch-size"
                    + " longest responses have. With fewer, responses may wait for each other.",
            min = "0")
        int kvCacheTokens,
    @Option(value = "256", help = "Tokens of a response at most.", min = "1") int maxTokens,
    @Option(value = "1024", help = "Longer prompts go to dead-letters.", min = "1")
        int maxPromptTokens,
    @Option(value = "1.0", help = "Sampling temperature.", above = "0") double temperature,
    @Option(value = "1.0", help = "Nucleus sampling mass; PPO needs 1.", above = "0", max = "1")
        double topP)
    implements ConfigSection {

  public RolloutSection {
    if (kvCacheTokens > 0 && kvCacheTokens < maxPromptTokens + maxTokens) {
      throw new IllegalArgumentException(
          "kv-cache-tokens must be at least max-prompt-tokens + max-tokens = %d, not %d"
              .formatted(maxPromptTokens + maxTokens, kvCacheTokens));
    }
  }
}
