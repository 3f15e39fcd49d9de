package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    KafkaSettings settings = kafka.settings();
    Topic<?> topic = Topic.named(topicName, settings.topicPrefix());
    if (!file.equals("-") && !Files.isRegularFile(Path.of(file))) {
      throw new UserException("--file does not exist: %s; correct the path".formatted(file));
    }
    long sent = send(settings, topic);
    System.out.println(
        "sent %d records to %s at %s"
            .formatted(sent, settings.nameOf(topic), settings.bootstrapServers()));
    return 0;
  }

  private <T extends SpecificRecordBase> long send(KafkaSettings settings, Topic<T> topic)
      throws IOException {
    long sent = 0;
    try (BufferedReader lines = open();
        RecordWriter writer = new RecordWriter(settings)) {
      long number = 1;
      try {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          String text = number == 1 ? withoutByteOrderMark(line) : line;
          if (!text.isBlank()) {
            writer.send(topic, Validation.require(JsonLines.read(topic.type(), text)));
            sent++;
          }
          number++;
        }
      } catch (UnusableRecordException e) {
        throw refused(writer, number, e.getMessage(), sent);
      } catch (CharacterCodingException e) {
        throw refused(writer, number, "not UTF-8; convert the file, for example with iconv", sent);
      }
      writer.flush();
    }
    return sent;
  }

  private UserException refused(RecordWriter writer, long line, String problem, long sent)
      throws IOException {
    writer.flush();
    return new UserException(
        "%s, line %d: %s (the %d records before it were sent)"
            .formatted(file, line, problem, sent));
  }

  /** Some editors put a byte order mark at the beginning of a UTF-8 file. */
  private static String withoutByteOrderMark(String line) {
    return line.startsWith("\uFEFF") ? line.substring(1) : line;
  }

  /** Opens the lines; bytes that are not UTF-8 are an error. */
  private BufferedReader open() throws IOException {
    InputStream bytes = file.equals("-") ? System.in : Files.newInputStream(Path.of(file));
    return new BufferedReader(new InputStreamReader(bytes, StandardCharsets.UTF_8.newDecoder()));
  }
}
