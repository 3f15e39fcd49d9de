package io.millrace.console.watch;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.schemas.wire.WireFormatException;
import io.millrace.serve.api.ApiException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;

/** The latest dead letters. */
final class DeadLetters {

  private static final int MOST = 1000;
  private static final long MOST_BYTES = 64L << 20;
  private static final int LISTED = 100;
  private static final int SHOWN_BYTES = 64 << 10;

  private final KafkaSettings kafka;
  private final LinkedHashMap<String, DeadLetter> letters = new LinkedHashMap<>();
  private long count;

  /** Of the values that are kept. */
  private long bytes;

  DeadLetters(KafkaSettings kafka) {
    this.kafka = kafka;
  }

  synchronized void add(RecordReader.Entry<DeadLetter> entry) {
    count++;
    DeadLetter letter = entry.record().orElseThrow();
    bytes += size(letter);
    letters.put(entry.partition() + "/" + entry.offset(), letter);
    while (letters.size() > MOST || (bytes > MOST_BYTES && letters.size() > 1)) {
      bytes -= size(letters.pollFirstEntry().getValue());
    }
  }

  private static int size(DeadLetter letter) {
    return letter.getValue() == null ? 0 : letter.getValue().remaining();
  }

  synchronized long count() {
    return count;
  }

  synchronized ObjectNode list(String search) {
    String wanted = search.toLowerCase(Locale.ROOT);
    ObjectNode body = JsonNodeFactory.instance.objectNode();
    ArrayNode list = body.putArray("letters");
    Map<String, Integer> reasons = new TreeMap<>();
    letters.sequencedEntrySet().reversed().stream()
        .filter(each -> text(each.getValue()).contains(wanted))
        .forEach(
            each -> {
              DeadLetter letter = each.getValue();
              reasons.merge(letter.getReason(), 1, Integer::sum);
              if (list.size() < LISTED) {
                list.addObject()
                    .put("place", each.getKey())
                    .put("topic", letter.getTopic())
                    .put("partition", letter.getPartition())
                    .put("offset", letter.getOffset())
                    .put("job", letter.getJob())
                    .put("reason", letter.getReason())
                    .put("message", letter.getMessage())
                    .put("time", letter.getTime().toString());
              }
            });
    ObjectNode counts = body.putObject("reasons");
    reasons.forEach(counts::put);
    return body.put("total", count).put("kept", letters.size());
  }

  private static String text(DeadLetter letter) {
    return String.join(
            "\n", letter.getTopic(), letter.getJob(), letter.getReason(), letter.getMessage())
        .toLowerCase(Locale.ROOT);
  }

  /** The refused record: as JSON where it can be decoded, else as text. */
  synchronized ObjectNode record(String place) {
    DeadLetter letter = letters.get(place);
    if (letter == null) {
      throw ApiException.notFound(
          "letter_not_found", "place", "this dead letter is no longer kept in memory");
    }
    ObjectNode body = JsonNodeFactory.instance.objectNode().put("place", place);
    byte[] value = bytes(letter.getValue());
    body.put("size", letter.getValueSize() == null ? value.length : letter.getValueSize());
    Optional<String> json =
        Topic.all().stream()
            .filter(topic -> kafka.nameOf(topic).equals(letter.getTopic()))
            .findFirst()
            .flatMap(topic -> decode(topic, value));
    return body.put("key", text(bytes(letter.getKey())))
        .put("decoded", json.isPresent())
        .put("value", json.orElseGet(() -> text(value)));
  }

  private static <T extends SpecificRecordBase> Optional<String> decode(
      Topic<T> topic, byte[] value) {
    try {
      String json = JsonLines.write(SingleObject.of(topic.type()).decode(value));
      return Optional.of(json.length() <= SHOWN_BYTES ? json : json.substring(0, SHOWN_BYTES));
    } catch (WireFormatException e) {
      return Optional.empty();
    }
  }

  private static String text(byte[] bytes) {
    return new String(bytes, 0, Math.min(bytes.length, SHOWN_BYTES), StandardCharsets.UTF_8);
  }

  private static byte[] bytes(ByteBuffer buffer) {
    if (buffer == null) {
      return new byte[0];
    }
    byte[] bytes = new byte[buffer.remaining()];
    ByteBuffer _ = buffer.duplicate().get(bytes);
    return bytes;
  }
}
