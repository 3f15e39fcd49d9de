package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.world.HeldOutWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace evaluation}. */
@Command(
    name = "evaluation",
    mixinStandardHelpOptions = true,
    description = "Held-out data for the job evaluation.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = EvaluationCommand.Demo.class,
    footer = {"", "millrace run evaluation runs the job; docs/evaluation.md tells the rest."})
public final class EvaluationCommand {

  /** {@code millrace evaluation demo}. */
  @Command(
      name = "demo",
      mixinStandardHelpOptions = true,
      description =
          "Writes held-out prompts, demonstrations and judgments of the demo world as files.")
  static final class Demo implements Callable<Integer> {

    @Option(names = "--out", required = true, description = "Directory to write to.")
    private Path out;

    @Option(
        names = "--prompts",
        defaultValue = "100",
        description = "Prompts of each kind, at most (default: ${DEFAULT-VALUE}).")
    private int count;

    @Option(names = "--seed", defaultValue = "1", description = "(default: ${DEFAULT-VALUE}).")
    private long seed;

    @Override
    public Integer call() throws IOException {
      if (count < 1) {
        throw new UserException("--prompts must be at least 1, not " + count);
      }
      HeldOutWriter.Written written =
          new HeldOutWriter(seed, InstantSource.system()).write(out, count);
      System.out.printf(
          "wrote %d prompts, %d demonstrations and %d judgments to %s%n",
          written.prompts(), written.demonstrations(), written.judgments(), out);
      return 0;
    }
  }
}
