package io.millrace.jobs.cli;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
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
final class ProduceCommand implements Callable<Integer> {

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
      long number = 0;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        number++;
        if (line.isBlank()) {
          continue;
        }
        T record;
        try {
          record = Validation.require(JsonLines.read(topic.type(), line));
        } catch (UnusableRecordException e) {
          writer.flush();
          throw new UserException(
              "%s, line %d: %s (%d records before it were sent)"
                  .formatted(file, number, e.getMessage(), sent));
        }
        writer.send(topic, record);
        sent++;
      }
      writer.flush();
    }
    return sent;
  }

  private BufferedReader open() throws IOException {
    return file.equals("-")
        ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
        : Files.newBufferedReader(Path.of(file));
  }
}
