package io.millrace.cli.job;

import io.millrace.cli.option.ConfigSource;
import io.millrace.cli.option.JobOptions;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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

  @Mixin private ConfigSource source;

  @Override
  public Integer call() throws Exception {
    if (job.isPresent()) {
      Job checked = JobOptions.check(job.get(), source);
      System.out.printf("the configuration is right for %s%n", checked.id());
      return 0;
    }
    MillraceConfig loaded = ConfigLoader.load(source.file(), source.settings()).withAbsolutePaths();
    JobOptions.requireInitial(loaded);
    System.out.printf("the configuration is right in all %d sections%n", loaded.sections().size());
    return 0;
  }
}
