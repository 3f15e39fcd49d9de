package io.millrace.jobs.cli;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.VerifyReport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code millrace checkpoint}. */
@Command(
    name = "checkpoint",
    mixinStandardHelpOptions = true,
    description = "Looks into checkpoint directories.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {CheckpointCommand.Inspect.class, CheckpointCommand.Verify.class},
    footer = {
      "",
      "Examples:",
      "  millrace checkpoint inspect millrace-data/checkpoints/policy/v000002",
      "  millrace checkpoint verify millrace-data/checkpoints/policy/v000002",
    })
final class CheckpointCommand {

  private static void requireDirectory(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new UserException("there is no directory " + directory);
    }
  }

  @Command(
      name = "inspect",
      mixinStandardHelpOptions = true,
      description = "Tells what a checkpoint holds.",
      footer = {"", "Example:", "  millrace checkpoint inspect DIR"})
  static final class Inspect implements Callable<Integer> {

    @Parameters(paramLabel = "DIR", description = "Checkpoint directory.")
    private Path directory;

    @Override
    public Integer call() {
      requireDirectory(directory);
      CheckpointDirectory.inspect(directory).forEach(System.out::println);
      return 0;
    }
  }

  @Command(
      name = "verify",
      mixinStandardHelpOptions = true,
      description = "Checks every file against its digest, and every weight.",
      footer = {"", "Example:", "  millrace checkpoint verify DIR"})
  static final class Verify implements Callable<Integer> {

    @Parameters(paramLabel = "DIR", description = "Checkpoint directory.")
    private Path directory;

    @Override
    public Integer call() {
      requireDirectory(directory);
      VerifyReport report = CheckpointDirectory.verify(directory);
      if (!report.isSound()) {
        report.problems().forEach(problem -> System.err.println("millrace: " + problem));
        return Millrace.USAGE;
      }
      System.out.printf(
          "%s: sound, %d files, %d parameters%s%n",
          directory,
          report.files(),
          report.parameters(),
          report.hasManifest() ? "" : " (no millrace.json: digests were not checked)");
      return 0;
    }
  }
}
