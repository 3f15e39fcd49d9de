package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.importer.HhRlhfImporter;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Topic;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace import}. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    description = "Converts public data sets and sends them to a topic.",
    synopsisSubcommandLabel = "FORM",
    subcommands = ImportCommand.HhRlhf.class,
    footer = {
      "",
      "Example:",
      "  millrace import hh-rlhf harmless-base/test.jsonl.gz --objective safety",
    })
public final class ImportCommand {

  /** {@code millrace import hh-rlhf}. */
  @Command(
      name = "hh-rlhf",
      mixinStandardHelpOptions = true,
      description =
          "Sends the comparisons of an HH-RLHF file to the topic judgments. A second import of the"
              + " file gives the same judgment ids.",
      footer = {
        "",
        "Example:",
        "  millrace import hh-rlhf harmless-base/test.jsonl.gz --objective safety",
      })
  static final class HhRlhf implements Callable<Integer> {

    @Parameters(
        paramLabel = "FILE",
        description = "JSON Lines with chosen and rejected, gzip or plain.")
    private Path file;

    @Option(
        names = "--objective",
        required = true,
        description = "Objective of the judgments: helpfulness or safety.")
    private Objective objective;

    @Option(
        names = "--rating",
        defaultValue = "SLIGHTLY_BETTER",
        description =
            "Rating of every judgment, since the data has none: ${COMPLETION-CANDIDATES}"
                + " (default: ${DEFAULT-VALUE}).")
    private Rating rating;

    @Mixin private KafkaOptions kafka;

    @Override
    public Integer call() throws Exception {
      if (!Files.exists(file)) {
        throw new UserException("FILE does not exist: %s; correct the path".formatted(file));
      }
      PlainFiles.require(file);
      KafkaSettings settings = kafka.settings();
      kafka.requireListener(settings);
      HhRlhfImporter.Report report;
      try (TopicAdmin admin = new TopicAdmin(settings)) {
        admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
        admin.require(TopicLayout.of(settings));
      }
      try (RecordWriter writer = new RecordWriter(settings)) {
        report =
            new HhRlhfImporter(objective, rating, Clock.systemUTC())
                .run(file, judgment -> writer.send(Topic.JUDGMENTS, judgment));
        writer.flush();
      }
      report
          .firstSkips()
          .forEach(
              skip ->
                  System.err.println("millrace: " + file + ", " + Printable.line(skip.toString())));
      System.out.printf(
          "read %d lines, sent %d judgments to %s at %s, skipped %d lines%s%n",
          report.lines(),
          report.judgments(),
          settings.nameOf(Topic.JUDGMENTS),
          settings.bootstrapServers(),
          report.lines() - report.judgments(),
          report.skipped().isEmpty() ? "" : " " + report.skipped());
      if (report.judgments() == 0) {
        throw new UserException(
            "FILE must have lines with chosen and rejected; %s has none".formatted(file));
      }
      return 0;
    }
  }
}
