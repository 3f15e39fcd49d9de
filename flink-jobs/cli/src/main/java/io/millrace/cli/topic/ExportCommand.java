package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.exchange.export.Compression;
import io.millrace.connectors.exchange.export.Export;
import io.millrace.connectors.exchange.export.LineFile;
import io.millrace.connectors.exchange.export.ReportingReceiver;
import io.millrace.connectors.exchange.export.Shape;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace export}. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    description =
        "Writes the records that a topic has now as JSON Lines: judgments, feedback,"
            + " demonstrations, prompts or rollouts. Withdrawn, revised, repeated and invalid"
            + " records are left out and counted.",
    footer = {
      "",
      "Examples:",
      "  millrace export judgments --out judgments.jsonl.zst --compress zstd",
      "  millrace export judgments --format trl --from 2026-01-01 --out pairs.jsonl",
    })
public final class ExportCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "TOPIC",
      description = "judgments, feedback, demonstrations, prompts or rollouts.")
  private String topicName;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "File to write; - is standard output (default: -).")
  private Optional<Path> out;

  @Option(
      names = "--format",
      defaultValue = "JSONL",
      description =
          "JSONL has every field, TRL the columns of TRL's data sets (default: ${DEFAULT-VALUE}).")
  private Shape shape;

  @Option(
      names = "--compress",
      defaultValue = "NONE",
      description = "Compression of the file: NONE, GZIP or ZSTD (default: ${DEFAULT-VALUE}).")
  private Compression compression;

  @Option(names = "--overwrite", description = "Replace an existing file.")
  private boolean overwrite;

  @Option(
      names = "--from",
      paramLabel = "TIME",
      description =
          "Only records made at this time or later, such as 2026-01-31 or 2026-01-31T08:00:00Z.")
  private Optional<String> from;

  @Option(names = "--to", paramLabel = "TIME", description = "Only records made before this time.")
  private Optional<String> to;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    KafkaSettings settings = kafka.settings();
    Export<?> export =
        new Export<>(
            settings,
            Topic.named(topicName, settings.topicPrefix()),
            shape,
            from.map(text -> Export.time("--from", text)).orElse(Instant.EPOCH),
            to.map(text -> Export.time("--to", text)).orElse(Instant.MAX));
    Optional<Path> file = out.filter(path -> !path.toString().equals("-"));
    if (file.isEmpty() && compression != Compression.NONE) {
      throw new UserException("--compress needs --out FILE; standard output is text");
    }
    kafka.requireListener(settings);
    Export.Report report;
    if (file.isPresent()) {
      try (LineFile lines = new LineFile(file.get(), compression, overwrite)) {
        report = export.run(new ReportingReceiver(lines::add, System.err::println));
        lines.finish();
      }
    } else {
      report =
          export.run(
              new ReportingReceiver(
                  line -> System.out.println(Printable.line(line)), System.err::println));
    }
    System.err.printf(
        "wrote %d of %d records of %s%s%s%n",
        report.written(),
        report.read(),
        topicName,
        file.map(path -> " to " + path).orElse(""),
        report.leftOut().isEmpty() ? "" : "; left out " + report.leftOut());
    return 0;
  }
}
