package io.millrace.cli.job;

import io.millrace.cli.option.JobOptions;
import io.millrace.cli.option.UserException;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace check}. */
@Command(
    name = "check",
    mixinStandardHelpOptions = true,
    description = {
      "Checks a configuration without Kafka or Flink, and prints every problem with its key.",
      "With JOB, the sections that the job uses, its initial model, files and directories; without"
          + " JOB, every section.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace check --config millrace.yaml",
      "  millrace check --config millrace.yaml ppo",
    })
public final class CheckCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "JOB",
      arity = "0..1",
      description = "Job whose sections are checked (default: all sections).")
  private Optional<String> job;

  @Option(
      names = "--config",
      description = "YAML file with options (docs/configuration.md lists all).")
  private Optional<Path> config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Overrides an option of the file, such as ppo.kl=0.02; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Override
  public Integer call() throws Exception {
    if (job.isPresent()) {
      Job checked = options().check();
      System.out.printf("the configuration is right for %s%n", checked.id());
      return 0;
    }
    MillraceConfig loaded = ConfigLoader.load(config, settings).withAbsolutePaths();
    JobOptions.requireInitial(loaded);
    System.out.printf("the configuration is right in all %d sections%n", loaded.sections().size());
    return 0;
  }

  private JobOptions options() {
    List<String> arguments = new ArrayList<>(List.of(job.orElseThrow()));
    config.ifPresent(file -> arguments.addAll(List.of("--config", file.toString())));
    settings.forEach(setting -> arguments.addAll(List.of("--set", setting)));
    try {
      return CommandLine.populateCommand(new JobOptions(), arguments.toArray(String[]::new));
    } catch (CommandLine.ParameterException e) {
      throw new UserException(e.getMessage());
    }
  }
}
