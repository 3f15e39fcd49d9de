package io.millrace.cli.serve;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import java.time.Duration;
import java.util.Map;
import org.apache.flink.configuration.MemorySize;

/** The server of {@code millrace serve}. */
public record ServeSection(
    @Option(
            value = "127.0.0.1",
            help =
                "Name or address to listen on. Other machines reach the server only with another"
                    + " address, such as 0.0.0.0; set API keys and TLS then.",
            required = true)
        String host,
    @Option(value = "8000", help = "Port; 0 chooses a free one.", min = "0", max = "65535")
        int port,
    @Option(
            value = "",
            help =
                "Served models by the names that clients use. `latest` follows the topic"
                    + " `policy-checkpoints`, `promoted` the topic `promotions`, `v12` is that"
                    + " version in `checkpoints.directory`; anything else is the directory or URI"
                    + " of a checkpoint. Empty: `model.name` with `latest`.")
        Map<String, String> models,
    @Option(
            value = "",
            help =
                "Further names that split their requests among models, such as"
                    + " `chat: old=0.9 new=0.1`. Requests with the same `user` go to the same"
                    + " model.")
        Map<String, String> aliases,
    @Option(
            value = "",
            help =
                "File with API keys, one a line; a client must send one of them. The environment"
                    + " variable `MILLRACE_API_KEYS` holds further keys, separated by commas."
                    + " Without keys any client may call.",
            path = true,
            local = true)
        String apiKeysFile,
    @Option(
            value = "",
            help = "Certificate of the server with those of its issuers, in PEM form, for TLS.",
            path = true,
            local = true)
        String tlsCertificate,
    @Option(
            value = "",
            help = "Private key of the certificate, PKCS #8 in PEM form.",
            path = true,
            local = true)
        String tlsKey,
    @Option(
            value = "32",
            help = "Responses of a model that are sampled at the same time.",
            min = "1",
            max = "4096")
        int batchSize,
    @Option(
            value = "256",
            help =
                "Responses of a model that may wait beside them; further requests get HTTP 429"
                    + " with `Retry-After`.",
            min = "0",
            max = "1_000_000")
        int queueSize,
    @Option(
            value = "4096",
            help =
                "Most tokens of a prompt with its response; a model with fewer positions sets a"
                    + " lower limit, and memory grows with it.",
            min = "16",
            max = "1_048_576")
        int context,
    @Option(
            value = "1024",
            help = "Most tokens of a response, and the default of `max_tokens`.",
            min = "1",
            max = "1_048_576")
        int maxTokens,
    @Option(
            value = "0",
            help =
                "Tokens in the KV cache of a model; 0 has room for `batch-size` responses of full"
                    + " length. Free room holds the prefixes of earlier prompts.",
            min = "0",
            max = "1_000_000_000")
        int kvCacheTokens,
    @Option(
            value = "2m",
            help = "Time within which a response must have ended; then it is cancelled.",
            min = "1s",
            max = "1d")
        Duration deadline,
    @Option(
            value = "30s",
            help =
                "Time within which a client must have sent a request, from the opening of its"
                    + " connection or the end of its last response.",
            min = "1s",
            max = "1h")
        Duration requestTimeout,
    @Option(
            value = "30s",
            help = "How long requests in flight may last after SIGTERM.",
            min = "0s",
            max = "1h")
        Duration drain,
    @Option(value = "4mb", help = "Largest body of a request.", min = "1kb", max = "256mb")
        MemorySize maxRequestSize,
    @Option(value = "4096", help = "Most connections at once.", min = "1", max = "1_000_000")
        int maxConnections,
    @Option(
            value = "false",
            help =
                "Takes feedback, and sends it and the served responses to Kafka; the same as"
                    + " `--record`.")
        boolean record,
    @Option(
            value = "1.0",
            help = "Share of the completions that are sent to `rollouts`.",
            min = "0",
            max = "1")
        double share,
    @Option(
            value = "opt-out",
            help =
                "Consent to recording: `opt-out` records completions unless the request has"
                    + " `\"store\": false`, `opt-in` only those with `\"store\": true`.")
        Consent consent,
    @Option(value = "serve", help = "`source` of the records.", required = true) String source,
    @Option(
            value = "1",
            help =
                "Name of this server. Servers that record at the same time need different names,"
                    + " and a server keeps its name after a restart.",
            required = true)
        String instance)
    implements ConfigSection {

  /** Which completions may be recorded. */
  public enum Consent {
    /** All but those whose request forbids it. */
    OPT_OUT,
    /** Those whose request allows it. */
    OPT_IN
  }

  public ServeSection {
    models = Map.copyOf(models);
    aliases = Map.copyOf(aliases);
    if (!instance.matches("[A-Za-z0-9._-]{1,100}")) {
      throw new IllegalArgumentException(
          "instance must have 1 to 100 letters, digits, '.', '_' and '-', not '%s'"
              .formatted(instance));
    }
  }
}
