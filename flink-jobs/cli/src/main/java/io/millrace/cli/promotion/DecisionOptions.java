package io.millrace.cli.promotion;

import io.millrace.cli.option.ConfigSource;
import io.millrace.cli.option.KafkaPorts;
import io.millrace.cli.option.UserException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.PromotionDecision;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Promotion;
import java.io.IOException;
import java.util.function.Consumer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What promote and rollback have in common. */
final class DecisionOptions {

  private static final int MOST_CHARACTERS = 1000;

  @Option(
      names = "--reason",
      required = true,
      paramLabel = "TEXT",
      description = "Why; it stands in the topic promotions and in reports.")
  private String reason;

  @Option(
      names = "--by",
      paramLabel = "NAME",
      defaultValue = "${sys:user.name}",
      description = "Who decides (default: the user's name, ${DEFAULT-VALUE}).")
  private String by;

  @Option(names = "--dry-run", description = "Check everything, and send nothing.")
  private boolean dryRun;

  @Mixin private ConfigSource source;

  /** Makes a decision from the configuration. */
  interface Maker {
    PromotionDecision make(MillraceConfig config, String by, String reason, Consumer<String> notice)
        throws IOException;
  }

  int decide(Maker maker) throws IOException {
    require("--reason", reason);
    require("--by", by);
    MillraceConfig config = ConfigLoader.load(source.file(), source.settings()).withAbsolutePaths();
    FileSystems.initialize(config.flink().resolvedProperties());
    KafkaPorts.requireListener(JobSettings.kafka(config), "kafka.bootstrap-servers");
    PromotionDecision decision =
        maker.make(
            config,
            by,
            reason,
            notice -> System.err.println("millrace: " + Printable.line(notice)));
    if (!dryRun) {
      decision.send();
    }
    Promotion record = decision.record();
    System.out.printf(
        "version %d of %s %s served (%s)%n",
        record.getVersion(),
        Printable.line(record.getModel()),
        dryRun ? "would be" : "is",
        Printable.line(record.getUri()));
    System.out.println(
        record.getBefore() == 0
            ? "no version is known that was served before"
            : "a rollback would return to version " + record.getBefore());
    return 0;
  }

  private static void require(String option, String value) {
    if (value.isBlank() || value.length() > MOST_CHARACTERS) {
      throw new UserException(
          "%s must have from 1 to %d characters, not %d"
              .formatted(option, MOST_CHARACTERS, value.strip().length()));
    }
  }
}
