package io.millrace.jobs.rollout;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.jobs.rollout.engine.OpenAiSettings;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;

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
        long newestVersion,
    @Option(
            value = "local",
            help =
                "What samples: `local`, this job; `openai`, the engine at `openai-url` "
                    + "([engines.md](engines.md)). Other jobs that sample do so themselves.")
        Engine engine,
    @Option(
            value = "",
            help = "URL of the engine, such as `http://gpu1:8000`. It must take token ids.")
        String openaiUrl,
    @Option(
            value = "",
            help =
                "Model to ask for. Empty: the newest version that the engine lists, such as"
                    + " `policy-v12`, or else `model.name`.")
        String openaiModel,
    @Option(
            value = "",
            help = "File with the engine's API key; every task manager must see it.",
            path = true,
            local = true)
        String openaiApiKeyFile,
    @Option(
            value = "32",
            help = "Prompts that each subtask has in flight at the engine.",
            min = "1",
            max = "4096")
        int openaiConcurrency,
    @Option(
            value = "5m",
            help = "Time within which the engine answers a request.",
            min = "100ms",
            max = "1d")
        Duration openaiTimeout,
    @Option(
            value = "8",
            help =
                "Retries of a request that fails while others succeed; then its prompt goes to"
                    + " `dead-letters`.",
            min = "0",
            max = "1_000_000")
        int openaiRetries,
    @Option(
            value = "500ms",
            help = "Delay of the first retry; it doubles up to 30 seconds.",
            min = "1ms",
            max = "30s")
        Duration openaiRetryDelay,
    @Option(
            value = "5",
            help = "Failures in a row after which all prompts wait.",
            min = "1",
            max = "1_000_000")
        int openaiFailures,
    @Option(
            value = "10s",
            help = "How often one request is tried while prompts wait for the engine.",
            min = "10ms",
            max = "1h")
        Duration openaiPause)
    implements ConfigSection {

  /** What samples the rollouts. */
  public enum Engine {
    /** The job itself. */
    LOCAL,
    /** An endpoint of the OpenAI API. */
    OPENAI
  }

  private static final int LARGEST_KEY_FILE = 1 << 12;

  /** The settings of the engine's client, with the key from its file. */
  OpenAiSettings openai() throws IOException {
    return new OpenAiSettings(
        OpenAiSettings.url(openaiUrl),
        openaiApiKeyFile.isBlank() ? "" : key(),
        openaiTimeout,
        openaiRetries,
        openaiRetryDelay,
        openaiFailures,
        openaiPause);
  }

  private String key() throws IOException {
    String key = PlainFiles.readText(Path.of(openaiApiKeyFile), LARGEST_KEY_FILE).strip();
    // The HTTP client's own message would quote it.
    if (!key.matches("[\\x21-\\x7E]+")) {
      throw new IOException(
          "rollout.openai-api-key-file %s must hold one key without blanks"
              .formatted(openaiApiKeyFile));
    }
    return key;
  }

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
    if (!openaiUrl.isBlank()) {
      requireUrl(openaiUrl);
    }
    if (engine == Engine.OPENAI) {
      if (openaiUrl.isBlank()) {
        throw new IllegalArgumentException(
            "openai-url is missing; with engine openai give the URL of the engine");
      }
      if (newestVersion > 0) {
        throw new IllegalArgumentException(
            "newest-version must be 0 with engine openai, not %d: the engine decides which version samples"
                .formatted(newestVersion));
      }
      if (kvCacheTokens > 0) {
        throw new IllegalArgumentException(
            "kv-cache-tokens must be 0 with engine openai, not %d: set the engine's own memory"
                .formatted(kvCacheTokens));
      }
    }
  }

  private static void requireUrl(String text) {
    try {
      var _ = OpenAiSettings.url(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("openai-url " + e.getMessage(), e);
    }
  }
}
