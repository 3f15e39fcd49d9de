package io.millrace.cli.deadletters;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicRecords;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.avro.specific.SpecificRecordBase;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace deadletters show}. */
@Command(
    name = "show",
    mixinStandardHelpOptions = true,
    description = {
      "Prints one dead letter: the record, where it lay, and why a job refused it.",
      "A record that can be decoded is printed as a line for 'millrace produce', to be mended.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace deadletters show 0/17",
      "  millrace deadletters show 0/17 --out value.bin",
    })
final class ShowCommand implements Callable<Integer> {

  private static final int SHOWN_BYTES = 256;
  private static final int BYTES_A_LINE = 16;
  private static final int TEXT_BYTES = 1024;

  @Parameters(paramLabel = "ID", description = "Partition and offset, as list prints them.")
  private String id;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Write the record's value to a new file, byte for byte.")
  private Path out;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws IOException {
    Letter.Id wanted = Letter.Id.parse(id);
    KafkaSettings settings = kafka.settings();
    kafka.requireListener(settings);
    try (TopicRecords topics = new TopicRecords(settings)) {
      Letter letter = find(settings, topics, wanted);
      Optional<OriginalRecord> original = OriginalRecord.of(letter, topics);
      if (out != null) {
        byte[] value = value(letter, original);
        Files.write(out, value, StandardOpenOption.CREATE_NEW);
        System.out.printf("wrote %d bytes to %s%n", value.length, out);
        return 0;
      }
      PrintStream text = new PrintStream(System.out, false, StandardCharsets.UTF_8);
      print(text, settings, letter, original);
      text.flush();
    }
    return 0;
  }

  private static byte[] value(Letter letter, Optional<OriginalRecord> original) {
    if (original.isPresent()) {
      byte[] value = original.get().value();
      if (value == null) {
        throw new UserException(
            "the record %s has no value, so there is nothing to write".formatted(letter.origin()));
      }
      return value;
    }
    throw new UserException(
        letter.content().getOffset() < 0
            ? "the job could not write the record to its topic, and its dead letter %s holds only the beginning"
                .formatted(letter.id())
            : "the dead letter %s holds only the beginning of the record, and %s is gone from Kafka"
                .formatted(letter.id(), letter.origin()));
  }

  private static Letter find(KafkaSettings settings, TopicRecords topics, Letter.Id id)
      throws IOException {
    byte[] value =
        topics
            .at(settings.nameOf(Topic.DEAD_LETTERS), id.partition(), id.offset())
            .orElseThrow(
                () ->
                    new UserException(
                        "%s has no record at %s; millrace deadletters list prints the ids"
                            .formatted(settings.nameOf(Topic.DEAD_LETTERS), id)))
            .value();
    return new Letter(
        id.partition(), id.offset(), settings.decoder(Topic.DEAD_LETTERS).decode(value));
  }

  private static void print(
      PrintStream out, KafkaSettings settings, Letter letter, Optional<OriginalRecord> original) {
    DeadLetter content = letter.content();
    line(out, "dead letter", letter.id().toString());
    line(out, "record", letter.origin());
    line(out, "refused by", content.getJob());
    line(out, "at", content.getTime().toString());
    line(out, "reason", content.getReason());
    line(out, "message", content.getMessage());
    if (content.getException() != null) {
      line(out, "exception", content.getException());
    }
    byte[] key = bytes(content.getKey());
    line(out, "key", key == null ? "none" : text(key) + ", " + Plural.of(key.length, "byte"));
    byte[] value = original.map(OriginalRecord::value).orElseGet(() -> bytes(content.getValue()));
    if (value == null) {
      line(out, "value", "none");
      return;
    }
    line(out, "value", size(content, value));
    Optional<String> json = json(settings, content.getTopic(), value);
    if (json.isPresent()) {
      out.println();
      out.println(Printable.line(json.get()));
    } else {
      dump(out, value);
    }
  }

  private static String size(DeadLetter content, byte[] value) {
    long whole = content.getValueSize() == null ? value.length : content.getValueSize();
    return "%d bytes%s%s"
        .formatted(
            whole,
            whole == value.length ? "" : ", of which the first " + value.length + " are left",
            content.getValueSha256() == null ? "" : ", SHA-256 " + content.getValueSha256());
  }

  private static void line(PrintStream out, String name, String value) {
    out.printf("%-12s %s%n", name, Printable.line(value));
  }

  private static String text(byte[] bytes) {
    String text = new String(bytes, 0, Math.min(bytes.length, TEXT_BYTES), StandardCharsets.UTF_8);
    return bytes.length > TEXT_BYTES ? text + "…" : text;
  }

  /** The value as a JSON line; empty if it is no record of that topic. */
  private static Optional<String> json(KafkaSettings settings, String topic, byte[] value) {
    return OriginalRecord.topic(settings, topic).flatMap(known -> decode(settings, known, value));
  }

  private static <T extends SpecificRecordBase> Optional<String> decode(
      KafkaSettings settings, Topic<T> topic, byte[] value) {
    try {
      return Optional.of(JsonLines.write(settings.decoder(topic).decode(value)));
    } catch (WireFormatException e) {
      return Optional.empty();
    }
  }

  /** The beginning of the value in hexadecimal and as text. */
  private static void dump(PrintStream out, byte[] value) {
    out.println();
    for (int at = 0; at < Math.min(value.length, SHOWN_BYTES); at += BYTES_A_LINE) {
      byte[] part = Arrays.copyOfRange(value, at, Math.min(value.length, at + BYTES_A_LINE));
      StringBuilder ascii = new StringBuilder();
      for (byte b : part) {
        ascii.append(b >= ' ' && b < 127 ? (char) b : '.');
      }
      out.printf("%06x  %-47s  %s%n", at, HexFormat.ofDelimiter(" ").formatHex(part), ascii);
    }
    if (value.length > SHOWN_BYTES) {
      out.printf("… %d more bytes; --out FILE writes all%n", value.length - SHOWN_BYTES);
    }
  }

  private static byte[] bytes(ByteBuffer buffer) {
    return buffer == null ? null : OriginalRecord.copy(buffer);
  }
}
