package io.millrace.console;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import java.net.URI;
import java.time.Duration;

/** The web application of {@code millrace console}. */
public record ConsoleSection(
    @Option(
            value = "127.0.0.1",
            help =
                "Name or address to listen on. Other machines reach the console only with another"
                    + " address, such as 0.0.0.0, which needs accounts; set TLS too.",
            required = true)
        String host,
    @Option(value = "8010", help = "Port; 0 chooses a free one.", min = "0", max = "65535")
        int port,
    @Option(
            value = "",
            help =
                "File with accounts, one a line: name, role (`annotator`, `reviewer`, `operator`)"
                    + " and token. The environment variable `MILLRACE_CONSOLE_ACCOUNTS` holds"
                    + " further ones as `name:role:token`, separated by commas. Without accounts"
                    + " every visitor of a loopback address is the operator `local`.",
            path = true,
            local = true)
        String accountsFile,
    @Option(
            value = "12h",
            help = "Time after which a person must sign in again.",
            min = "1m",
            max = "30d")
        Duration session,
    @Option(
            value = "",
            help = "Certificate of the console with those of its issuers, in PEM form, for TLS.",
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
            value = "600",
            help = "Most requests of an account in a minute; further ones get HTTP 429.",
            min = "1",
            max = "1_000_000")
        int maxRequestsPerMinute,
    @Option(
            value = "10m",
            help = "Time after which a task that its annotator left open goes to others.",
            min = "10s",
            max = "7d")
        Duration lease,
    @Option(
            value = "1",
            help = "Annotators that judge each task. All consoles of a cluster must have the same.",
            min = "1",
            max = "100")
        int overlap,
    @Option(
            value = "7d",
            help = "Age of the oldest rollouts, metrics and dead letters that are shown.",
            min = "1m",
            max = "3650d")
        Duration window,
    @Option(
            value = "20000",
            help = "Most pairs of responses that are kept in memory.",
            min = "1",
            max = "10_000_000")
        int maxPairs,
    @Option(
            value = "",
            help = "Text file with guidelines, shown beside the tasks. Empty: built-in guidelines.",
            path = true,
            local = true)
        String guidelinesFile,
    @Option(
            value = "",
            help =
                "Address of `millrace serve`, such as `http://127.0.0.1:8000`, for the page Talk;"
                    + " the environment variable `MILLRACE_SERVE_KEY` holds its API key. Empty: no"
                    + " such page.")
        String serveUrl,
    @Option(
            value = "",
            help =
                "File of judgments (JSON Lines) whose choice is known to be right, in the form of"
                    + " `annotators.gold-tasks`. Annotators get their pairs as hidden gold tasks."
                    + " Name the same file in `annotators.gold-tasks`; otherwise the reward model"
                    + " learns from the answers. Empty: no gold tasks.",
            path = true)
        String goldFile,
    @Option(
            value = "0.1",
            help = "Share of an annotator's tasks that are gold tasks.",
            min = "0",
            max = "1")
        double goldShare,
    @Option(value = "console", help = "`source` of the records.", required = true) String source)
    implements ConfigSection {

  public ConsoleSection {
    if (tlsCertificate.isEmpty() != tlsKey.isEmpty()) {
      throw new IllegalArgumentException(
          "tls-certificate and tls-key belong together; set both, or neither");
    }
    if (!serveUrl.isEmpty()) {
      String scheme = URI.create(serveUrl).getScheme();
      if (!"http".equals(scheme) && !"https".equals(scheme)) {
        throw new IllegalArgumentException(
            "serve-url is '%s'; it must begin with http:// or https://".formatted(serveUrl));
      }
    }
  }
}
