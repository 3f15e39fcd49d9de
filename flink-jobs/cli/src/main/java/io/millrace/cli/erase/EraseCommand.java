package io.millrace.cli.erase;

import io.millrace.cli.option.UserException;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.erasure.Erasure;
import io.millrace.jobs.erasure.ErasureReport;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.io.Console;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.apache.flink.util.TimeUtils;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace erase}. */
@Command(
    name = "erase",
    mixinStandardHelpOptions = true,
    description = {
      "Removes the records of a person, of a source, or one record: sends a withdrawal, which every"
          + " job follows; removes the records from the topics prompts, rollouts, demonstrations,"
          + " judgments, feedback, rewards and dead-letters; and searches the directories of the"
          + " jobs for their texts.",
      "Prints what remains and how to get rid of it, and the published versions that learned from"
          + " the records. It never prints a text of a record.",
      "Exit code: 0 if all is gone except from published weights, 1 if something remains or could"
          + " not be searched, 2 for a wrong option.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace erase --annotator a1 --config millrace.yaml --dry-run",
      "  millrace erase --annotator a1 --config millrace.yaml --reason 'request 17'",
      "  millrace erase --id j17 --cluster millrace-data/cluster --yes --json",
    })
public final class EraseCommand implements Callable<Integer> {

  @ArgGroup(multiplicity = "1")
  private Wanted wanted;

  /** Exactly one of these. */
  private static final class Wanted {
    @Option(
        names = "--annotator",
        paramLabel = "NAME",
        description = "Erase the judgments of this annotator.")
    private String annotator;

    @Option(
        names = "--source",
        paramLabel = "NAME",
        description = "Erase the records of this source, and what was made from them.")
    private String source;

    @Option(
        names = "--id",
        paramLabel = "ID",
        description =
            "Erase this judgment, demonstration, prompt or rollout, and what was made from it.")
    private String id;

    private WithdrawnBy by() {
      return annotator != null
          ? WithdrawnBy.ANNOTATOR
          : source != null ? WithdrawnBy.SOURCE : WithdrawnBy.ID;
    }

    private String name() {
      return switch (by()) {
        case ANNOTATOR -> annotator;
        case SOURCE -> source;
        case ID -> id;
      };
    }
  }

  @Option(
      names = "--yes",
      description = "Do not ask for confirmation. Without a terminal it is needed.")
  private boolean yes;

  @Option(names = "--dry-run", description = "Print what would be removed, and change nothing.")
  private boolean dryRun;

  @Option(names = "--json", description = "Print the report as one JSON object.")
  private boolean json;

  @Option(
      names = "--reason",
      paramLabel = "TEXT",
      defaultValue = "",
      description = "Why; it stands in the topic withdrawals (default: no reason).")
  private String reason;

  @Option(
      names = "--by",
      paramLabel = "NAME",
      defaultValue = "${sys:user.name}",
      description = "Who asks for it (default: the user's name, ${DEFAULT-VALUE}).")
  private String by;

  @Option(
      names = "--deadline",
      paramLabel = "DURATION",
      defaultValue = "10min",
      description =
          "Longest wait for Kafka's cleaner and for the next Flink checkpoints (default:"
              + " ${DEFAULT-VALUE}).")
  private String deadline;

  @Option(
      names = "--search",
      paramLabel = "DIR",
      description =
          "Search this directory, too; may be repeated. Those of the configuration, of --cluster"
              + " and the default ones below millrace-data are searched anyway.")
  private List<Path> search = new ArrayList<>();

  @Mixin private DeploymentOptions deployment;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Withdrawal withdrawal =
        Withdrawal.newBuilder()
            .setWithdrawalId("erase-" + UUID.randomUUID())
            .setBy(wanted.by())
            .setName(wanted.name())
            .setRequestedBy(by)
            .setReason(reason)
            .setTime(Instant.now().truncatedTo(ChronoUnit.MILLIS))
            .build();
    List<String> problems = Validation.problems(withdrawal);
    if (!problems.isEmpty()) {
      throw new UserException(
          "--%s, --by or --reason is wrong: %s"
              .formatted(wanted.by().name().toLowerCase(Locale.ROOT), String.join("; ", problems)));
    }
    Duration wait = wait(deadline);
    MillraceConfig config = deployment.load();
    try (Erasure erasure =
        new Erasure(
            config,
            withdrawal,
            wait,
            line -> System.err.println("millrace: " + Printable.line(line)))) {
      ErasureReport plan = erasure.plan();
      PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
      plan.printPlan(json ? System.err : out);
      ErasureReport report = plan;
      if (!dryRun) {
        confirm();
        report = erasure.run(SearchedDirectories.of(config, deployment.cluster(), search));
      }
      if (json) {
        out.println(report.json());
        out.flush();
      } else {
        report.print(out);
      }
      return dryRun || report.isComplete() ? 0 : 1;
    }
  }

  private static Duration wait(String text) {
    try {
      Duration wait = TimeUtils.parseDuration(text);
      if (!wait.isNegative()) {
        return wait;
      }
    } catch (IllegalArgumentException | ArithmeticException | DateTimeException e) {
      // Falls through to the message.
    }
    throw new UserException(
        "--deadline must be a duration such as 90s or 10min, not '%s'".formatted(text));
  }

  private void confirm() {
    if (yes) {
      return;
    }
    // There may be none, or one that reads a pipe: it depends on the JDK.
    Console console =
        Optional.ofNullable(System.console())
            .filter(Console::isTerminal)
            .orElseThrow(
                () ->
                    new UserException(
                        "nothing was changed: there is no terminal to ask for confirmation; give"
                            + " --yes, or --dry-run to see what would be removed"));
    String answer = console.readLine("Remove them for good? Type yes: ");
    if (answer == null || !answer.strip().equalsIgnoreCase("yes")) {
      throw new UserException("nothing was changed");
    }
  }
}
