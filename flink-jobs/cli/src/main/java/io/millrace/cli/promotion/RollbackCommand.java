package io.millrace.cli.promotion;

import io.millrace.jobs.evaluation.PromotionDecision;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace rollback}. */
@Command(
    name = "rollback",
    mixinStandardHelpOptions = true,
    description = {
      "Makes serving return to the policy version that was served before, or to another one.",
      "The version's files are verified first. The gate may promote a later version that is better"
          + " than the one that is served then.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace rollback --config millrace.yaml --reason 'answers in the wrong language'",
      "  millrace rollback --to 9 --config millrace.yaml --reason 'last good version'",
    })
public final class RollbackCommand implements Callable<Integer> {

  @Option(
      names = "--to",
      paramLabel = "VERSION",
      description = "Version to return to (default: the one that was served before).")
  private Optional<Long> to;

  @Mixin private DecisionOptions options;

  @Override
  public Integer call() throws IOException {
    to.ifPresent(version -> PromoteCommand.requireVersion("--to", version));
    return options.decide(
        (config, by, reason, notice) -> PromotionDecision.rollBack(config, to, by, reason, notice));
  }
}
