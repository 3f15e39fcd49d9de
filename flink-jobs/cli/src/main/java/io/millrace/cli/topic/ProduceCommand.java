package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.TextLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.avro.specific.SpecificRecordBase;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace produce}. */
@Command(
    name = "produce",
    mixinStandardHelpOptions = true,
    description =
        "Sends the records of a JSON Lines file to a topic. It stops at the first line that is not"
            + " a valid record, after the lines before it were sent.",
    footer = {
      "",
      "Examples:",
      "  millrace produce prompts --file prompts.jsonl",
      "  echo '{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}' \\",
      "    | millrace produce prompts --file -",
    })
public final class ProduceCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "TOPIC",
      description = "Topic without its prefix, such as prompts or judgments.")
  private String topicName;

  @Option(
      names = "--file",
      required = true,
      description = "JSON Lines file; - reads standard input.")
  private String file;

  @Option(
      names = "--format",
      defaultValue = "single-object",
      description =
          "Format of the values: single-object, confluent (with --schema-registry) or json"
              + " (default: ${DEFAULT-VALUE}).")
  private String format;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    Topic<?> topic = Topic.named(topicName, kafka.settings().topicPrefix());
    KafkaSettings settings = kafka.settings(Map.of(topic.name(), format));
    if (!file.equals("-")) {
      if (file.isBlank()) {
        throw new UserException("--file is empty; name a file, or - for standard input");
      }
      if (!Files.exists(Path.of(file))) {
        throw new UserException("--file does not exist: %s; correct the path".formatted(file));
      }
      PlainFiles.require(Path.of(file));
    }
    long sent = send(settings, topic);
    System.out.println(
        "sent %s to %s at %s"
            .formatted(
                Plural.of(sent, "record"), settings.nameOf(topic), settings.bootstrapServers()));
    return 0;
  }

  private <T extends SpecificRecordBase> long send(KafkaSettings settings, Topic<T> topic)
      throws IOException {
    long sent = 0;
    try (TextLines lines = open();
        RecordWriter writer = new RecordWriter(settings)) {
      try {
        for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
          if (!line.get().isBlank()) {
            T record = Validation.require(JsonLines.read(topic.type(), line.get().text()));
            if (sent == 0) {
              kafka.requireListener(settings);
            }
            writer.send(topic, record);
            sent++;
          }
        }
      } catch (UnusableRecordException e) {
        throw refused(writer, lines.number(), e.getMessage(), sent);
      }
      writer.flush();
    }
    return sent;
  }

  private UserException refused(RecordWriter writer, long line, String problem, long sent)
      throws IOException {
    writer.flush();
    return new UserException(
        "%s, line %d: %s (%s before it %s sent)"
            .formatted(
                file.equals("-") ? "standard input" : file,
                line,
                problem,
                Plural.of(sent, "record"),
                sent == 1 ? "was" : "were"));
  }

  private TextLines open() throws IOException {
    return file.equals("-") ? new TextLines(System.in) : TextLines.of(Path.of(file));
  }
}
