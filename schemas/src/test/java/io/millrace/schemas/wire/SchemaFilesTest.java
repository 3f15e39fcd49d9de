package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.Examples;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SchemaFilesTest {
  @TempDir private Path directory;

  @Test
  void eachFileAloneIsTheSchemaOfItsTopic() throws IOException {
    List<SchemaFiles.Entry> entries = SchemaFiles.write(directory);
    assertEquals(Topic.all().size() + WriterSchemas.bundled().size(), entries.size());
    int current = 0;
    for (SchemaFiles.Entry entry : entries) {
      String text = Files.readString(directory.resolve(entry.name()));
      assertFalse(text.contains("avro.java"), text);
      // A new parser knows no types, so it refuses a file that refers to another one.
      Schema schema = new Schema.Parser().parse(text);
      assertEquals(
          "%016x".formatted(SchemaNormalization.parsingFingerprint64(schema)), entry.fingerprint());
      if (entry.current()) {
        Schema own = Topic.all().get(current++).schema();
        assertEquals(
            SchemaNormalization.toParsingForm(own), SchemaNormalization.toParsingForm(schema));
        assertEquals(own.getDoc(), schema.getDoc());
        own.getFields()
            .forEach(
                field -> {
                  Schema.Field written = schema.getField(field.name());
                  assertEquals(field.doc(), written.doc());
                  assertEquals(field.defaultVal(), written.defaultVal());
                });
      }
    }
    assertEquals(Topic.all().size(), current);
  }

  @Test
  void theHeadersAreThoseOfRecords() throws IOException {
    SchemaFiles.write(directory);
    JsonNode index = new ObjectMapper().readTree(directory.resolve("index.json").toFile());
    assertEquals(Topic.all().size(), index.path("topics").size());
    for (int i = 0; i < Topic.all().size(); i++) {
      Topic<?> topic = Topic.all().get(i);
      JsonNode node = index.path("topics").get(i);
      assertEquals(topic.name(), node.path("topic").asText());
      assertEquals(topic.type().getName(), node.path("record").asText());
      assertEquals(topic.name() + ".avsc", node.path("file").asText());
      String header = node.path("header").asText();
      assertEquals(20, header.length());
      String golden = Files.readString(Path.of("src/test/resources/golden", topic + ".hex"));
      assertTrue(golden.startsWith(header), topic + ": " + header);
      // Written big-endian in the index, little-endian in the header.
      String fingerprint = node.path("fingerprint").asText();
      StringBuilder reversed = new StringBuilder();
      for (int b = 14; b >= 0; b -= 2) {
        reversed.append(fingerprint, b, b + 2);
      }
      assertEquals("c301" + reversed, header);
    }
    JsonNode earlier = index.path("topics").get(1).path("earlier");
    assertEquals("demonstrations-e5df757fb1907e05.avsc", earlier.get(0).path("file").asText());
    assertTrue(Files.exists(directory.resolve("demonstrations-e5df757fb1907e05.avsc")));
  }

  /** docs/producers.md shows the entry of prompts. */
  @Test
  void thePageShowsTheFingerprintOfPrompts() throws IOException {
    SchemaFiles.Entry prompts = SchemaFiles.write(directory).getFirst();
    String page = Files.readString(Path.of("../docs/producers.md"));
    assertTrue(page.contains("\"fingerprint\": \"" + prompts.fingerprint() + "\""), page);
    assertTrue(page.contains("\"header\": \"" + prompts.header() + "\""), page);
    String bytes = prompts.header().toUpperCase(Locale.ROOT).replaceAll("(?<=..)(..)", " $1");
    assertTrue(page.contains(bytes), bytes);
  }

  @Test
  void theDirectoryServesAsOneOfWritersSchemas() throws IOException {
    SchemaFiles.write(directory);
    List<Schema> schemas = WriterSchemas.fromDirectory(directory);
    SpecificRecordBase prompt = Examples.prompt();
    byte[] bytes = SingleObject.of(Prompt.class).encode(Examples.prompt());
    assertEquals(prompt, SingleObject.of(Prompt.class).withWriterSchemas(schemas).decode(bytes));
  }

  @Test
  void writingTwiceGivesTheSameBytes() throws IOException {
    SchemaFiles.write(directory);
    Map<String, String> first = contents();
    SchemaFiles.write(directory);
    assertEquals(first, contents());
    assertFalse(first.values().stream().anyMatch(text -> text.contains("\r")));
  }

  private Map<String, String> contents() throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        contents.put(file.getFileName().toString(), Files.readString(file));
      }
    }
    return contents;
  }
}
