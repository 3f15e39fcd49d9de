package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.cli.people.PairsCommand;
import io.millrace.cli.people.PeopleCommand;
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
    description =
        "Makes held-out data for the job evaluation, and evaluates by people's comparisons.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {EvaluationCommand.Demo.class, PairsCommand.class, PeopleCommand.class},
    footer = {
      "",
      "Examples:",
      "  millrace evaluation demo --out held-out",
      "  millrace run evaluation --set evaluation.prompts=held-out/prompts.jsonl \\",
      "    --set evaluation.demonstrations=held-out/demonstrations.jsonl",
      "",
      "docs/evaluation.md describes the files and the job.",
    })
public final class EvaluationCommand {

  /** {@code millrace evaluation demo}. */
  @Command(
      name = "demo",
      mixinStandardHelpOptions = true,
      description =
          "Writes held-out prompts, demonstrations and judgments of the demo world to files.",
      footer = {"", "Example:", "  millrace evaluation demo --out held-out --prompts 200"})
  static final class Demo implements Callable<Integer> {

    @Option(
        names = "--out",
        required = true,
        paramLabel = "DIR",
        description = "Directory for the files.")
    private Path out;

    @Option(
        names = "--prompts",
        defaultValue = "100",
        description = "Most prompts of each kind (default: ${DEFAULT-VALUE}).")
    private int count;

    @Option(
        names = "--seed",
        defaultValue = "1",
        description = "Seed of the demo world (default: ${DEFAULT-VALUE}).")
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
