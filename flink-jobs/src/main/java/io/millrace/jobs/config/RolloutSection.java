package io.millrace.jobs.config;

import java.io.Serializable;
import java.time.Duration;

/** Sampling responses with the latest policy. */
public record RolloutSection(
    @Option(value = "1", help = "Responses sampled for each prompt.") int samplesPerPrompt,
    @Option(value = "32", help = "Prompts sampled together.") int batchSize,
    @Option(value = "100ms", help = "An incomplete batch of prompts is sampled after this time.")
        Duration maxWait,
    @Option(value = "256", help = "Tokens of a response at most.") int maxTokens,
    @Option(value = "1024", help = "Longer prompts go to dead-letters.") int maxPromptTokens,
    @Option(value = "1.0", help = "Sampling temperature.") double temperature,
    @Option(value = "1.0", help = "Nucleus sampling mass; PPO needs 1.") double topP)
    implements Serializable {

  public RolloutSection {
    Require.atLeast("samples-per-prompt", samplesPerPrompt, 1);
    Require.atLeast("batch-size", batchSize, 1);
    Require.atLeast("max-wait (ms)", maxWait.toMillis(), 1);
    Require.atLeast("max-tokens", maxTokens, 1);
    Require.atLeast("max-prompt-tokens", maxPromptTokens, 1);
    Require.positive("temperature", temperature);
    Require.between("top-p", topP, Double.MIN_NORMAL, 1);
  }
}
