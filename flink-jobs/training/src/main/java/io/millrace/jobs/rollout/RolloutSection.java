package io.millrace.jobs.rollout;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SamplingOptions;

/** Sampling responses with the latest policy. */
public record RolloutSection(
    @Option(
            value = "1",
            help = "Responses that the job samples for each prompt.",
            min = "1",
            max = "256")
        int samplesPerPrompt,
    @Option(
            value = "32",
            help =
                "Responses sampled at the same time; the next one takes the place of a finished"
                    + " one.",
            min = "1",
            max = "65536")
        int batchSize,
    @Option(
            value = "0",
            help =
                "Tokens that the KV cache holds, those of prompts included; 0 makes room for"
                    + " `batch-size` responses of full length. With less room, responses may wait"
                    + " for each other.",
            min = "0",
            max = "1_000_000_000")
        int kvCacheTokens,
    @Option(
            value = "256",
            help = "Most tokens of a response; a longer one is cut.",
            min = "1",
            max = "1_048_576")
        int maxTokens,
    @Option(
            value = "1024",
            help = "Most tokens of a prompt; a longer one goes to `dead-letters`.",
            min = "1",
            max = "1_048_576")
        int maxPromptTokens,
    @Option(value = "1.0", help = "Sampling temperature.", min = "0.01", max = "100")
        double temperature,
    @Option(
            value = "1.0",
            help = "Probability mass of nucleus sampling; PPO needs 1.",
            min = "0.001",
            max = "1")
        double topP,
    @Option(
            value = "0",
            help =
                "Share of safety prompts (`isSafety`) among the prompts that are sampled: the job"
                    + " drops and counts prompts of the kind that has too many. 0 samples prompts"
                    + " as they come.",
            min = "0",
            max = "0.99")
        double safetyShare,
    @Option(
            value = "true",
            help =
                "Samples only as many rollouts as `ppo` can use before they exceed"
                    + " `ppo.max-staleness`; the other prompts wait in their topic. It has no"
                    + " effect in bounded runs and before the first start of `ppo`.")
        boolean paced,
    @Option(
            value = "0",
            help =
                "Newest policy version that samples; 0: the latest announced one. Set it, and"
                    + " `model.initial`, to the promoted version to skip versions that the gate"
                    + " held.",
            min = "0",
            max = "1_000_000_000")
        long newestVersion)
    implements ConfigSection {

  /** Whether an announced policy version may sample. */
  public boolean follows(long version) {
    return newestVersion == 0 || version <= newestVersion;
  }

  public RolloutSection {
    Require.accepted(
        "max-tokens, temperature and top-p",
        () -> new SamplingOptions(maxTokens, (float) temperature, (float) topP));
    int longest = maxPromptTokens + maxTokens;
    if (kvCacheTokens > 0 && kvCacheTokens < longest) {
      throw new IllegalArgumentException(
          "kv-cache-tokens must be at least max-prompt-tokens + max-tokens = %d, not %d"
              .formatted(longest, kvCacheTokens));
    }
    Require.accepted(
        "batch-size %d × (max-prompt-tokens + max-tokens = %d) is too large; lower one of them"
            .formatted(batchSize, longest),
        () -> EngineSettings.of(batchSize, longest));
  }
}
