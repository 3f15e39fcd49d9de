package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.exchange.Import;
import io.millrace.connectors.exchange.ImportFiles;
import io.millrace.connectors.exchange.RefusedFile;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Formats;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rating;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace import}. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    description = {
      "Sends the rows of files in common formats to the topics judgments, feedback,"
          + " demonstrations and prompts. A second import gives the same ids, and jobs drop the"
          + " repetitions. A row that cannot be used is refused and counted; the others are sent.",
      "Files are JSON Lines, JSON arrays, CSV or Parquet, plain or compressed by gzip or zstd."
    },
    footer = {
      "",
      "Examples:",
      "  millrace import hh-rlhf harmless-base/test.jsonl.gz --objective safety",
      "  millrace import train.parquet --dry-run",
      "  millrace import --format alpaca data.json --refused refused.jsonl",
    })
public final class ImportCommand implements Callable<Integer> {

  private static final int SHOWN = 10;

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "Files; the name of a format before them stands for --format.")
  private List<Path> arguments;

  @Option(
      names = "--format",
      description =
          "Format of all files, such as hh-rlhf, trl, messages, sharegpt, alpaca or label-studio;"
              + " docs/import.md lists them (default: what the first rows of a file fit).")
  private Optional<String> format;

  @Option(
      names = "--objective",
      description =
          "What the annotators judged, helpfulness or safety; needed where the format does not"
              + " say it.")
  private Optional<Objective> objective;

  @Option(
      names = "--rating",
      defaultValue = "SLIGHTLY_BETTER",
      description =
          "Rating of judgments whose format has no degree: ${COMPLETION-CANDIDATES}"
              + " (default: ${DEFAULT-VALUE}).")
  private Rating rating;

  @Option(
      names = "--source",
      description = "Source of all records (default: the row's, or the format's name).")
  private Optional<String> source;

  @Option(
      names = "--annotator",
      defaultValue = "",
      description = "Annotator of records whose rows name none (default: none).")
  private String annotator;

  @Option(
      names = "--safety",
      description = "Prompts belong to the safety set, unless their rows say otherwise.")
  private boolean safety;

  @Option(
      names = "--dry-run",
      description = "Send nothing; print the first 10 records, and the counts.")
  private boolean dryRun;

  @Option(
      names = "--refused",
      paramLabel = "FILE",
      description = "New file for all refused rows, as JSON Lines with reason and message.")
  private Optional<Path> refusedFile;

  @Option(
      names = "--print-refused",
      paramLabel = "N",
      defaultValue = "20",
      description = "Print the first N refused rows (default: ${DEFAULT-VALUE}).")
  private int printRefused;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    List<Path> files = new ArrayList<>(arguments);
    if (format.isEmpty()
        && files.size() > 1
        && Formats.names().contains(files.getFirst().toString())) {
      format = Optional.of(files.removeFirst().toString());
    }
    ImportFiles.require(files);
    Settings said =
        new Settings(objective, rating, source, annotator, safety, Clock.systemUTC().instant());
    Import run = new Import(format.map(Formats::named), said, Bounds.DEFAULT);
    KafkaSettings settings = kafka.settings();
    if (!dryRun) {
      kafka.requireListener(settings);
    }
    try (RefusedFile refused =
        refusedFile.isPresent() ? new RefusedFile(refusedFile.get()) : null) {
      ImportFiles all = new ImportFiles(run, files, refused, printRefused, System.err::println);
      if (dryRun) {
        all.show(SHOWN, System.out::println);
      } else {
        all.send(settings);
        System.out.printf("sent to Kafka at %s%n", settings.bootstrapServers());
      }
    } finally {
      if (run.report().rows() > 0) {
        System.out.println(run.report());
      }
    }
    if (run.report().sent() == 0) {
      throw new UserException(
          "no row of %s gave a record; correct the files or --format".formatted(files));
    }
    return 0;
  }
}
