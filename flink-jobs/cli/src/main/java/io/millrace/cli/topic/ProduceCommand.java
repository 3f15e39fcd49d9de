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
        "Sends a file of JSON Lines to a topic, one record a line. A line that is no valid record"
            + " stops it there: what stood before it was sent.",
    footer = {
      "",
      "Examples:",
      "  millrace produce prompts --file prompts.jsonl",
      "  echo '{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}' \\",
      "    | millrace produce prompts --file -",
    })
public final class ProduceCommand implements Callable<Integer> {

  @Parameters(paramLabel = "TOPIC", description = "Such as prompts or judgments.")
  private String topicName;

  @Option(
      names = "--file",
      required = true,
      description = "File of JSON Lines; - reads standard input.")
  private String file;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    KafkaSettings settings = kafka.settings();
    Topic<?> topic = Topic.named(topicName, settings.topicPrefix());
    if (!file.equals("-") && !Files.isRegularFile(Path.of(file))) {
      throw new UserException("there is no file " + file);
    }
    long sent = send(settings, topic);
    System.out.println(
        sent + " records to " + settings.nameOf(topic) + " at " + settings.bootstrapServers());
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
        throw refused(writer, number, "not UTF-8; convert the file, such as with iconv", sent);
      }
      writer.flush();
    }
    return sent;
  }

  private UserException refused(RecordWriter writer, long line, String problem, long sent)
      throws IOException {
    writer.flush();
    return new UserException(
        "%s, line %d: %s (%d records before it were sent)".formatted(file, line, problem, sent));
  }

  /** Some editors begin a file in UTF-8 with one. */
  private static String withoutByteOrderMark(String line) {
    return line.startsWith("\uFEFF") ? line.substring(1) : line;
  }

  /** Lines in UTF-8; anything else is an error, never replaced in silence. */
  private BufferedReader open() throws IOException {
    InputStream bytes = file.equals("-") ? System.in : Files.newInputStream(Path.of(file));
    return new BufferedReader(new InputStreamReader(bytes, StandardCharsets.UTF_8.newDecoder()));
  }
}
