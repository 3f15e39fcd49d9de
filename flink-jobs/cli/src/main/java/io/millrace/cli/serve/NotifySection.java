package io.millrace.cli.serve;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import java.time.Duration;
import java.util.Map;

/** The engines that load new versions, and how {@code millrace notify} reaches them. */
public record NotifySection(
    @Option(
            value = "",
            help =
                "Engines by names of your choice. The value is a kind and an address, such as"
                    + " `sglang http://gpu1:30000`. Kinds: `vllm`, `vllm-sleep` (it sleeps while"
                    + " weights change) and `sglang`.")
        Map<String, String> endpoints,
    @Option(
            value = "",
            help =
                "API keys by the engine's name. `${env:NAME}` and `${file:PATH}` work as in"
                    + " `kafka.properties`.")
        Map<String, String> apiKeys,
    @Option(
            value = "latest",
            help =
                "Which versions the engines get: `latest` of the topic `policy-checkpoints`, or"
                    + " `promoted` by the topic `promotions`.")
        Follow follow,
    @Option(
            value = "millrace-data/engines",
            help = "Directory for copies of the versions, which the engines read.",
            required = true,
            path = true,
            local = true)
        String directory,
    @Option(
            value = "",
            help = "The same directory as the engines see it; empty: under the same path.")
        String engineDirectory,
    @Option(
            value = "10s",
            help = "Time within which an engine answers a question.",
            min = "100ms",
            max = "1h")
        Duration requestTimeout,
    @Option(
            value = "10m",
            help = "Time within which an engine loads a version.",
            min = "1s",
            max = "1d")
        Duration loadTimeout,
    @Option(
            value = "8",
            help =
                "Retries after failures that an engine reports; then the version is skipped. An"
                    + " engine that does not answer is waited for.",
            min = "0",
            max = "1_000_000")
        int retries,
    @Option(
            value = "1s",
            help = "Delay of the first retry; it doubles up to 30 seconds.",
            min = "1ms",
            max = "1h")
        Duration retryDelay,
    @Option(
            value = "30s",
            help = "How often an engine is asked whether it still has its version.",
            min = "100ms",
            max = "1d")
        Duration checkEvery)
    implements ConfigSection {

  /** Which versions are followed. */
  public enum Follow {
    /** Each published version. */
    LATEST,
    /** The version that the last verdict says to serve. */
    PROMOTED
  }

  public NotifySection {
    endpoints = Map.copyOf(endpoints);
    apiKeys = Map.copyOf(apiKeys);
    for (String name : apiKeys.keySet()) {
      if (!endpoints.containsKey(name)) {
        throw new IllegalArgumentException(
            "api-keys has the engine '%s', which endpoints has not; name it in both"
                .formatted(name));
      }
    }
  }
}
