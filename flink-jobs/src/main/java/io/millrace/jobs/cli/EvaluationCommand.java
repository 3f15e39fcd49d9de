package io.millrace.jobs.cli;

import io.millrace.jobs.demo.Annotators;
import io.millrace.jobs.demo.DemoWorld;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.avro.specific.SpecificRecordBase;
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
final class EvaluationCommand {

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
      InstantSource clock = InstantSource.system();
      DemoWorld world = new DemoWorld(seed, clock);
      Annotators annotators = new Annotators(world, seed, clock);
      List<Prompt> prompts =
          DemoWorld.byKind(world.heldOutPrompts()).values().stream()
              .flatMap(kind -> kind.stream().limit(count))
              .toList();
      List<Judgment> judgments = new ArrayList<>();
      for (Objective objective : Objective.values()) {
        judgments.addAll(annotators.about(prompts, objective));
      }
      Files.createDirectories(out);
      write("prompts.jsonl", prompts);
      write("demonstrations.jsonl", world.demonstrations(prompts));
      write("judgments.jsonl", judgments);
      System.out.printf(
          "wrote %d prompts, %d demonstrations and %d judgments to %s%n",
          prompts.size(), prompts.size(), judgments.size(), out);
      return 0;
    }

    private void write(String name, List<? extends SpecificRecordBase> records) throws IOException {
      Files.write(out.resolve(name), records.stream().map(JsonLines::write).toList());
    }
  }
}
