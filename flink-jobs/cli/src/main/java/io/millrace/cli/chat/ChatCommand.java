package io.millrace.cli.chat;

import io.millrace.cli.model.OpenPolicy;
import io.millrace.cli.model.SamplingFlags;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.io.BufferedReader;
import java.io.Console;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code millrace chat}. */
@Command(
    name = "chat",
    mixinStandardHelpOptions = true,
    description = {
      "Talks with a policy, turn by turn, or with two versions side by side.",
      "Each line of the input is a user turn. A line that begins with / is a command; /help lists"
          + " them. The chat ends with /quit or at the end of the input.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace chat --checkpoint millrace-data/checkpoints/policy/v000061",
      "  millrace chat --checkpoint DIR/v000001 --checkpoint DIR/v000061 --temperature 0.7",
    })
public final class ChatCommand implements Callable<Integer> {

  private static final int NARROWEST = 40;
  private static final int WIDEST = 1000;

  @Option(
      names = "--checkpoint",
      required = true,
      arity = "1",
      paramLabel = "DIR",
      description = "Directory or URI of a policy checkpoint; twice for two side by side.")
  private List<String> checkpoints = new ArrayList<>();

  @Option(names = "--system", paramLabel = "TEXT", description = "Text of a system turn.")
  private Optional<String> system;

  @Option(
      names = "--context",
      defaultValue = "4096",
      paramLabel = "N",
      description =
          "Most tokens of a dialogue with its response; a model with fewer positions sets a lower"
              + " limit, and memory grows with it (default: ${DEFAULT-VALUE}).")
  private int context;

  @Option(
      names = "--width",
      defaultValue = "100",
      paramLabel = "N",
      description = "Characters of a line with two versions (default: ${DEFAULT-VALUE}).")
  private int width;

  @Spec private CommandSpec spec;
  @Mixin private SamplingFlags sampling;
  @Mixin private ConfigOptions options;

  @Override
  public Integer call() throws IOException {
    if (checkpoints.size() > 2) {
      throw new UserException(
          "--checkpoint must be given once or twice, not %d times".formatted(checkpoints.size()));
    }
    if (width < NARROWEST || width > WIDEST) {
      throw new UserException(
          "--width must be from %d to %d, not %d".formatted(NARROWEST, WIDEST, width));
    }
    if (context < 16) {
      throw new UserException("--context must be at least 16, not " + context);
    }
    sampling.require();
    boolean terminal = isTerminal();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8.newDecoder()));
    try (Backend backend = Backends.openDefault();
        OpenPolicy first = OpenPolicy.open(backend, options, checkpoints.getFirst());
        OpenPolicy second =
            checkpoints.size() == 1
                ? null
                : OpenPolicy.open(backend, options, checkpoints.getLast());
        Speaker left = new Speaker(first, sampling, context);
        Speaker right = second == null ? null : new Speaker(second, sampling, context)) {
      List<Speaker> speakers = right == null ? List.of(left) : List.of(left, right);
      new ChatSession(speakers, system, in, spec.commandLine().getOut(), terminal, width).run();
    }
    return 0;
  }

  /** Whether a person reads along. JDK 25 has no console again where the input is a file. */
  @SuppressWarnings("SystemConsoleNull")
  private static boolean isTerminal() {
    Console console = System.console();
    return console != null && console.isTerminal();
  }
}
