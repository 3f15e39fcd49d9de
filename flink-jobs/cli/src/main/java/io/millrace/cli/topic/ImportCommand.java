package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.exchange.Import;
import io.millrace.connectors.exchange.ImportReport;
import io.millrace.connectors.exchange.RefusedFile;
import io.millrace.connectors.exchange.Refusal;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Format;
import io.millrace.connectors.exchange.format.Formats;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.avro.specific.SpecificRecordBase;
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

  private static final Duration PROGRESS = Duration.ofSeconds(5);

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
    Optional<Format> named = format.map(Formats::named);
    if (named.isEmpty() && files.size() > 1 && Formats.names().contains(files.getFirst().toString())) {
      named = Optional.of(Formats.named(files.removeFirst().toString()));
    }
    for (Path file : files) {
      if (!Files.exists(file)) {
        throw new UserException("FILE does not exist: %s; correct the path".formatted(file));
      }
      PlainFiles.require(file);
    }
    Import run =
        new Import(
            named,
            new Settings(
                objective, rating, source, annotator, safety, Clock.systemUTC().instant()),
            Bounds.DEFAULT);
    KafkaSettings settings = kafka.settings();
    if (!dryRun) {
      kafka.requireListener(settings);
    }
    for (Path file : files) {
      // All files before the first record is sent.
      System.err.printf("%s has the format %s%n", file, run.formatOf(file).name());
    }
    try (RefusedFile refused =
        refusedFile.isPresent() ? new RefusedFile(refusedFile.get()) : null) {
      if (dryRun) {
        importAll(run, files, new Printer(refused));
      } else {
        send(run, files, settings, refused);
      }
    }
    if (run.report().sent() == 0) {
      throw new UserException(
          "no row of %s gave a record; correct the files or --format"
              .formatted(String.join(", ", files.stream().map(Path::toString).toList())));
    }
    return 0;
  }

  private void send(Import run, List<Path> files, KafkaSettings settings, RefusedFile refused)
      throws IOException {
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
      admin.require(TopicLayout.of(settings));
    }
    try (RecordWriter writer = new RecordWriter(settings)) {
      importAll(run, files, new Sender(refused, writer));
      writer.flush();
    }
    System.out.printf("sent to Kafka at %s%n", settings.bootstrapServers());
  }

  private static void importAll(Import run, List<Path> files, Import.Receiver receiver)
      throws IOException {
    try {
      for (Path file : files) {
        run.run(file, receiver);
      }
    } finally {
      System.out.println(run.report());
    }
  }

  /** Prints refusals and progress. */
  private abstract class Reporter implements Import.Receiver {
    private final RefusedFile refusedFile;
    private long refusals;
    private long printed = System.nanoTime();

    Reporter(RefusedFile refusedFile) {
      this.refusedFile = refusedFile;
    }

    @Override
    public void refused(Refusal refusal) throws IOException {
      if (refusedFile != null) {
        refusedFile.add(refusal);
      }
      refusals++;
      if (refusals <= printRefused) {
        System.err.println("millrace: " + Printable.line(refusal.toString()));
      } else if (refusals == printRefused + 1L) {
        System.err.println(
            "millrace: further refused rows are counted; --refused FILE keeps them all");
      }
    }

    @Override
    public void progress(Path file, double share, ImportReport report) {
      if (System.nanoTime() - printed > PROGRESS.toNanos()) {
        printed = System.nanoTime();
        System.err.printf("%s, %.0f %%: %s%n", file, share * 100, report);
      }
    }
  }

  private final class Sender extends Reporter {
    private final RecordWriter writer;

    Sender(RefusedFile refusedFile, RecordWriter writer) {
      super(refusedFile);
      this.writer = writer;
    }

    @Override
    public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record)
        throws IOException {
      writer.send(topic, record);
    }
  }

  private final class Printer extends Reporter {
    private long records;

    Printer(RefusedFile refusedFile) {
      super(refusedFile);
    }

    @Override
    public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) {
      if (records++ < SHOWN) {
        System.out.println(topic.name() + ": " + Printable.line(JsonLines.write(record)));
      }
    }
  }
}
