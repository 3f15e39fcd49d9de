package io.millrace.schemas.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;

/**
 * Writes the schemas of all topics for producers and consumers in any language: one file a schema,
 * which defines every type that it uses, a JSON Schema for each topic, and an index with the
 * fingerprints. The files in {@code src/main/avro} refer to types of other files, which only Avro's
 * Java tools resolve.
 *
 * <p>The same build always writes the same bytes.
 */
public final class SchemaFiles {
  /** The name of the index. */
  public static final String INDEX = "index.json";

  /** Ends the names of JSON Schemas; the topic's name is before it. */
  private static final String JSON_SCHEMA = ".schema.json";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectWriter WRITER =
      JSON.writer(
          new DefaultPrettyPrinter()
              .withSeparators(
                  Separators.createDefaultInstance()
                      .withObjectFieldValueSpacing(Separators.Spacing.AFTER)
                      .withArrayEmptySeparator(""))
              .withObjectIndenter(new DefaultIndenter("  ", "\n"))
              .withArrayIndenter(new DefaultIndenter("  ", "\n")));

  /** A property for Avro's Java code generator; other languages do not need it. */
  private static final String JAVA_STRING = "avro.java.string";

  private SchemaFiles() {}

  /**
   * A file with one schema.
   *
   * @param name the file's name
   * @param topic the topic's name without prefix
   * @param record the full name of the record type
   * @param fingerprint CRC-64-AVRO of the schema, as 16 hexadecimal digits
   * @param header the 10 bytes at the beginning of each record, in hexadecimal: {@code c301} and
   *     the fingerprint in little-endian order
   * @param current whether this build writes the schema; false for one of an earlier release
   */
  public record Entry(
      String name,
      String topic,
      String record,
      String fingerprint,
      String header,
      boolean current) {}

  /**
   * Writes all files into a directory, which is created. Files of the same names are replaced.
   *
   * @return what was written, in the order of the topics, the current schema of each first
   */
  public static List<Entry> write(Path directory) throws IOException {
    Files.createDirectories(directory);
    List<Entry> entries = new ArrayList<>();
    ArrayNode topics = JSON.createArrayNode();
    for (Topic<?> topic : Topic.all()) {
      Entry current = entry(topic, topic.schema(), true);
      ObjectNode node = topics.addObject();
      node.put("topic", topic.name());
      node.put("record", current.record());
      putSchema(node, current);
      write(directory, current, topic.schema(), entries);
      String jsonSchema = topic.name() + JSON_SCHEMA;
      node.put("jsonSchema", jsonSchema);
      Files.writeString(directory.resolve(jsonSchema), text(JsonSchemas.of(topic.schema())));
      ArrayNode earlier = node.putArray("earlier");
      for (Schema schema : WriterSchemas.bundled()) {
        if (schema.getFullName().equals(current.record())) {
          Entry one = entry(topic, schema, false);
          putSchema(earlier.addObject(), one);
          write(directory, one, schema, entries);
        }
      }
    }
    ObjectNode index = JSON.createObjectNode();
    index.put("encoding", "Avro single-object encoding: header, then the Avro binary body");
    index.put("topicPrefix", Topic.DEFAULT_PREFIX);
    index.set("topics", topics);
    Files.writeString(directory.resolve(INDEX), text(index));
    return List.copyOf(entries);
  }

  /**
   * Writes all files for the artifact of this module, at build time.
   *
   * @param directory the only argument
   */
  public static void main(String[] directory) throws IOException {
    List<Entry> _ = write(Path.of(directory[0]));
  }

  private static void putSchema(ObjectNode node, Entry entry) {
    node.put("file", entry.name());
    node.put("fingerprint", entry.fingerprint());
    node.put("header", entry.header());
  }

  private static void write(Path directory, Entry entry, Schema schema, List<Entry> entries)
      throws IOException {
    Files.writeString(directory.resolve(entry.name()), selfContained(schema));
    entries.add(entry);
  }

  private static Entry entry(Topic<?> topic, Schema schema, boolean current) {
    long fingerprint = SingleObject.fingerprint(schema);
    String hex = "%016x".formatted(fingerprint);
    byte[] header =
        ByteBuffer.allocate(10)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) 0xC3)
            .put((byte) 1)
            .putLong(fingerprint)
            .array();
    return new Entry(
        current ? topic.name() + ".avsc" : "%s-%s.avsc".formatted(topic.name(), hex),
        topic.name(),
        schema.getFullName(),
        hex,
        HexFormat.of().formatHex(header),
        current);
  }

  /** A schema as JSON. Named types are defined where they are first used. */
  public static String selfContained(Schema schema) {
    try {
      return text(withoutJavaStrings(JSON.readTree(schema.toString())));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("Avro writes schemas as JSON", e);
    }
  }

  private static String text(JsonNode node) throws JsonProcessingException {
    return WRITER.writeValueAsString(node) + "\n";
  }

  private static JsonNode withoutJavaStrings(JsonNode node) {
    if (node instanceof ArrayNode array) {
      for (int i = 0; i < array.size(); i++) {
        array.set(i, withoutJavaStrings(array.get(i)));
      }
    } else if (node instanceof ObjectNode object) {
      object.remove(JAVA_STRING);
      for (Map.Entry<String, JsonNode> member : object.properties()) {
        member.setValue(withoutJavaStrings(member.getValue()));
      }
      if (object.size() == 1 && object.path("type").asText().equals("string")) {
        return TextNode.valueOf("string");
      }
    }
    return node;
  }
}
