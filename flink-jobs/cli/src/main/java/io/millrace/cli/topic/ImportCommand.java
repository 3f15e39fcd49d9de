package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.importer.HhRlhfImporter;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Objective;
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
    description = "Brings data of other forms to the topics.",
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
          "Comparisons of HH-RLHF (JSON Lines with chosen and rejected, gzip or plain) to the topic"
              + " judgments. Importing a file again gives the same judgment ids.",
      footer = {
        "",
        "Example:",
        "  millrace import hh-rlhf harmless-base/test.jsonl.gz --objective safety",
      })
  static final class HhRlhf implements Callable<Integer> {

    @Parameters(paramLabel = "FILE", description = "JSON Lines, gzip or plain.")
    private Path file;

    @Option(
        names = "--objective",
        required = true,
        description = "What was judged: helpfulness or safety.")
    private Objective objective;

    @Option(
        names = "--rating",
        defaultValue = "SLIGHTLY_BETTER",
        description =
            "The data has no ratings; this one is given to all: ${COMPLETION-CANDIDATES}"
                + " (default: ${DEFAULT-VALUE}).")
    private Rating rating;

    @Mixin private KafkaOptions kafka;

    @Override
    public Integer call() throws Exception {
      if (!Files.isRegularFile(file)) {
        throw new UserException("there is no file " + file);
      }
      KafkaSettings settings = kafka.settings();
      HhRlhfImporter.Report report;
      try (TopicAdmin admin = new TopicAdmin(settings)) {
        admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
      }
      try (RecordWriter writer = new RecordWriter(settings)) {
        report =
            new HhRlhfImporter(objective, rating, Clock.systemUTC())
                .run(file, judgment -> writer.send(Topic.JUDGMENTS, judgment));
        writer.flush();
      }
      report.firstSkips().forEach(skip -> System.err.println("millrace: " + file + ", " + skip));
      System.out.printf(
          "%d lines, %d judgments to %s at %s, %d lines skipped%s%n",
          report.lines(),
          report.judgments(),
          settings.nameOf(Topic.JUDGMENTS),
          settings.bootstrapServers(),
          report.lines() - report.judgments(),
          report.skipped().isEmpty() ? "" : " " + report.skipped());
      if (report.judgments() == 0) {
        throw new UserException(file + " holds no comparison of HH-RLHF's form");
      }
      return 0;
    }
  }
}
