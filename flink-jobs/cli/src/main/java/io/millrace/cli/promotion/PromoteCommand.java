package io.millrace.cli.promotion;

import io.millrace.cli.option.UserException;
import io.millrace.jobs.evaluation.PromotionDecision;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code millrace promote}. */
@Command(
    name = "promote",
    mixinStandardHelpOptions = true,
    description = {
      "Makes serving load a policy version, whatever the gate's verdict on it is.",
      "The version's files are verified first. kafka.*, model.name and checkpoints.directory of the"
          + " configuration say where it is. The job evaluation compares later versions with it.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace promote 12 --config millrace.yaml --reason 'reviewed by the safety team'",
      "  millrace promote 12 --set kafka.bootstrap-servers=kafka:9092 --reason test --dry-run",
    })
public final class PromoteCommand implements Callable<Integer> {

  @Parameters(paramLabel = "VERSION", description = "Number of a published policy version.")
  private long version;

  @Mixin private DecisionOptions options;

  @Override
  public Integer call() throws IOException {
    requireVersion("VERSION", version);
    return options.decide(
        (config, by, reason, notice) ->
            PromotionDecision.promote(config, version, by, reason, notice));
  }

  static void requireVersion(String option, long version) {
    if (version < 1) {
      throw new UserException("%s must be at least 1, not %d".formatted(option, version));
    }
  }
}
