package io.millrace.cli.job;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.KafkaPorts;
import io.millrace.cli.option.RegistryOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.report.Report;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace report}. */
@Command(
    name = "report",
    mixinStandardHelpOptions = true,
    description = {
      "Writes one self-contained HTML file about a run, with tables and charts.",
      "The run is a campaign (--campaign), a quickstart (--quickstart), or the topics of a Kafka"
          + " cluster (--bootstrap-servers).",
    },
    footer = {
      "",
      "Examples:",
      "  millrace report --campaign millrace-data/campaign --out report.html",
      "  millrace report --quickstart report.json --ghost-attention ghost.json --out report.html",
      "  millrace report --bootstrap-servers kafka:9092 --out report.html",
    })
public final class ReportCommand implements Callable<Integer> {

  @Option(
      names = "--campaign",
      paramLabel = "DIR",
      description = "Directory of a campaign, finished or not.")
  private Path campaign;

  @Option(
      names = "--quickstart",
      paramLabel = "FILE",
      description = "JSON file of quickstart --report.")
  private Path quickstart;

  @Option(
      names = "--bootstrap-servers",
      paramLabel = "HOST:PORT",
      description = "Addresses of the Kafka brokers to read from, with commas.")
  private String bootstrapServers;

  @Option(
      names = "--topic-prefix",
      defaultValue = "millrace.",
      description = "Prefix of every topic name (default: ${DEFAULT-VALUE}).")
  private String topicPrefix;

  @Option(
      names = "--kafka-property",
      paramLabel = "KEY=VALUE",
      description = "Kafka client property, such as security.protocol=SSL; may be repeated.")
  private Map<String, String> properties = new LinkedHashMap<>();

  @Mixin private RegistryOptions registry;

  @Option(
      names = "--ghost-attention",
      paramLabel = "FILE",
      description = "JSON file of ghost-attention measure --json, for a further section.")
  private Path ghostAttention;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "FILE",
      description = "HTML file to write.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    long given =
        Stream.of(campaign, quickstart, bootstrapServers).filter(source -> source != null).count();
    if (given != 1) {
      throw new UserException(
          "give one of --campaign, --quickstart and --bootstrap-servers, not " + given);
    }
    requireWritable(out);
    Report report;
    if (campaign != null) {
      report = Report.ofCampaign(campaign);
    } else if (quickstart != null) {
      report = Report.ofQuickstart(quickstart);
    } else {
      KafkaSettings settings =
          KafkaOptions.settings(bootstrapServers, topicPrefix, properties)
              .with(registry.wire(Map.of()));
      KafkaPorts.requireListener(settings, "--bootstrap-servers");
      report = Report.ofKafka(settings);
    }
    if (ghostAttention != null) {
      report.addGhostAttention(ghostAttention);
    }
    Files.writeString(out, report.html());
    System.out.println("wrote " + out);
    return 0;
  }

  /** Checks the file before the work starts. */
  private static void requireWritable(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || !Files.isDirectory(parent) || !Files.isWritable(parent)) {
      throw new UserException(
          "--out must be a file in a writable directory, not %s".formatted(file));
    }
  }
}
