package io.millrace.jobs.config;

import java.io.Serializable;

/** Sampling responses with the latest policy. */
public record RolloutSection(
    @Option(value = "1", help = "Responses sampled for each prompt.") int samplesPerPrompt,
    @Option(
            value = "32",
            help = "Responses sampled together; a finished one's place is taken at once.")
        int batchSize,
    @Option(
            value = "0",
            help =
                "Tokens whose keys and values are kept, prompts' included; 0: as many as batch-size"
                    + " longest responses have. With fewer, responses may wait for each other.")
        int kvCacheTokens,
    @Option(value = "256", help = "Tokens of a response at most.") int maxTokens,
    @Option(value = "1024", help = "Longer prompts go to dead-letters.") int maxPromptTokens,
    @Option(value = "1.0", help = "Sampling temperature.") double temperature,
    @Option(value = "1.0", help = "Nucleus sampling mass; PPO needs 1.") double topP)
    implements Serializable {

  public RolloutSection {
    Require.atLeast("samples-per-prompt", samplesPerPrompt, 1);
    Require.atLeast("batch-size", batchSize, 1);
    Require.atLeast("kv-cache-tokens", kvCacheTokens, 0);
    Require.atLeast("max-tokens", maxTokens, 1);
    Require.atLeast("max-prompt-tokens", maxPromptTokens, 1);
    if (kvCacheTokens > 0) {
      Require.atLeast(
          "kv-cache-tokens (where max-prompt-tokens and max-tokens must fit)",
          kvCacheTokens,
          maxPromptTokens + maxTokens);
    }
    Require.positive("temperature", temperature);
    Require.between("top-p", topP, Double.MIN_NORMAL, 1);
  }
}
