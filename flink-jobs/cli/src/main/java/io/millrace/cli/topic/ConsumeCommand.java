package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.WaitingRecords;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.avro.specific.SpecificRecordBase;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace consume}. */
@Command(
    name = "consume",
    mixinStandardHelpOptions = true,
    description =
        "Prints the records of a topic as JSON Lines, from its beginning to its end, or without end"
            + " with --follow. A record that cannot be read is reported on standard error, and so"
            + " are the records that wait behind an open transaction.",
    footer = {
      "",
      "Examples:",
      "  millrace consume rollouts --limit 5",
      "  millrace consume training-metrics --follow",
    })
public final class ConsumeCommand implements Callable<Integer> {

  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration NOTICE = Duration.ofSeconds(10);

  @Parameters(
      paramLabel = "TOPIC",
      description = "Topic without its prefix, such as rollouts or dead-letters.")
  private String topicName;

  @Option(
      names = "--limit",
      defaultValue = "9223372036854775807",
      paramLabel = "N",
      description = "Stop after N records (default: no limit).")
  private long limit;

  @Option(names = "--follow", description = "Wait for further records at the end of the topic.")
  private boolean follow;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws Exception {
    if (limit < 1) {
      throw new UserException("--limit must be at least 1, not " + limit);
    }
    KafkaSettings settings = kafka.settings();
    Topic<?> topic = Topic.named(topicName, settings.topicPrefix());
    kafka.requireListener(settings);
    print(settings, topic);
    return 0;
  }

  private <T extends SpecificRecordBase> void print(KafkaSettings settings, Topic<T> topic)
      throws IOException {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    try (RecordReader<T> reader = RecordReader.fromEarliest(settings, topic)) {
      long end = follow ? Long.MAX_VALUE : reader.remaining();
      long noticed = System.nanoTime();
      for (long printed = 0; printed < Math.min(limit, end); ) {
        Optional<RecordReader.Entry<T>> next = reader.next(POLL);
        if (next.isPresent()) {
          printed++;
          print(out, next.get());
        } else {
          out.flush();
          if (!follow && reader.remaining() == 0) {
            break;
          }
          if (System.nanoTime() - noticed > NOTICE.toNanos()) {
            printWaiting(reader);
            noticed = System.nanoTime();
          }
        }
      }
      out.flush();
      if (!follow) {
        printWaiting(reader);
      }
    }
    out.flush();
  }

  private static void printWaiting(RecordReader<?> reader) throws IOException {
    for (WaitingRecords waiting : reader.waiting()) {
      System.err.println("millrace: " + waiting.text(Instant.now()));
    }
  }

  private static <T extends SpecificRecordBase> void print(
      PrintStream out, RecordReader.Entry<T> entry) {
    entry.record().ifPresent(record -> out.println(Printable.line(JsonLines.write(record))));
    entry
        .problem()
        .ifPresent(
            problem ->
                System.err.printf(
                    "millrace: partition %d, offset %d: %s%n",
                    entry.partition(), entry.offset(), Printable.line(problem.getMessage())));
  }
}
