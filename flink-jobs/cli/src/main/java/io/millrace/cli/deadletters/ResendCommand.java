package io.millrace.cli.deadletters;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace deadletters resend}. */
@Command(
    name = "resend",
    mixinStandardHelpOptions = true,
    description = {
      "Sends refused records to their topics again, byte for byte, after the cause was mended: a"
          + " limit that was raised, a model or a root that was missing.",
      "Each record is sent once: a record that an earlier resend has sent is skipped, also if a job"
          + " refused it again, unless --again. A record that is itself wrong must be mended: show"
          + " prints it as a line for 'millrace produce'.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace deadletters resend 0/17 0/18",
      "  millrace deadletters resend --topic prompts --reason too-long --dry-run",
    })
final class ResendCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "ID",
      arity = "0..*",
      description = "Partition and offset, as list prints them.")
  private List<String> ids = new ArrayList<>();

  @Mixin private LetterFilter filter;

  @Option(names = "--all", description = "Send the records of all dead letters.")
  private boolean all;

  @Option(names = "--again", description = "Send also records that were sent again before.")
  private boolean again;

  @Option(names = "--dry-run", description = "Print what would be sent, and send nothing.")
  private boolean dryRun;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws IOException {
    if (ids.isEmpty() && !filter.isGiven() && !all) {
      throw new UserException(
          "name the dead letters by ID, by --topic, --reason, --job or --since, or give --all");
    }
    if (!ids.isEmpty() && (filter.isGiven() || all)) {
      throw new UserException("give IDs, or --topic, --reason, --job, --since and --all, not both");
    }
    Set<Letter.Id> wanted =
        ids.stream().map(Letter.Id::parse).collect(Collectors.toCollection(LinkedHashSet::new));
    KafkaSettings settings = kafka.settings();
    filter.prepare(settings, Instant.now());
    kafka.requireListener(settings);
    Resend resend =
        new Resend(
            settings,
            letter ->
                wanted.isEmpty() ? filter.accepts(letter.content()) : wanted.contains(letter.id()),
            again,
            dryRun);
    Resend.Result result = resend.run();
    result.problems().forEach(problem -> System.err.println("millrace: " + problem));
    if (result.found().isEmpty()) {
      filter.requireKnownReason();
    }
    wanted.removeAll(result.found());
    wanted.forEach(
        id ->
            System.err.printf(
                "millrace: %s: there is no such dead letter; millrace deadletters list prints the"
                    + " ids%n",
                id));
    result
        .sent()
        .forEach(
            (topic, count) ->
                System.out.printf(
                    "%s %s to %s%n",
                    dryRun ? "would send" : "sent",
                    Plural.of(count, "record"),
                    Printable.line(topic)));
    if (result.sent().isEmpty()) {
      System.out.println(dryRun ? "would send nothing" : "sent nothing");
    }
    print("skipped %s of a record that another one names too", result.repeated(), "dead letter");
    print("skipped %s sent again before (--again sends again)", result.before(), "record");
    print(
        "skipped %s sent again before and refused again: mend the cause, then --again",
        result.refusedAgain(), "record");
    return result.problems().isEmpty() && wanted.isEmpty() ? 0 : 1;
  }

  private static void print(String line, long count, String what) {
    if (count > 0) {
      System.out.println(line.formatted(Plural.of(count, what)));
    }
  }
}
