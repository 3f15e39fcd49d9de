package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecordEraserTest {
  private static final Duration LONG = Duration.ofMinutes(2);

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static int prefixes;

  private KafkaSettings settings;

  @BeforeAll
  static void start() throws IOException {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
  }

  @AfterAll
  static void stop() throws IOException {
    broker.close();
  }

  private void topics() throws IOException {
    settings = new KafkaSettings(broker.bootstrapServers(), "e" + prefixes++ + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.createAll(2, 1);
    }
  }

  private void send(String key, String value) throws IOException {
    try (RecordWriter writer = new RecordWriter(settings)) {
      writer.sendRaw(Topic.JUDGMENTS, key == null ? null : bytes(key), bytes(value));
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** A scan for the records whose value contains a text; all values go to {@code values}. */
  private ErasureScan scan(RecordEraser eraser, String text, List<String> values)
      throws IOException {
    return eraser.scan(
        Topic.JUDGMENTS,
        record -> {
          String value = new String(record.value(), StandardCharsets.UTF_8);
          values.add(value);
          return value.contains(text);
        });
  }

  private Map<String, String> ownConfig() throws Exception {
    ConfigResource topic =
        new ConfigResource(ConfigResource.Type.TOPIC, settings.nameOf(Topic.JUDGMENTS));
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      Map<String, String> own = new TreeMap<>();
      for (ConfigEntry entry :
          admin.describeConfigs(List.of(topic)).all().get().get(topic).entries()) {
        if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
          own.put(entry.name(), entry.value());
        }
      }
      return own;
    }
  }

  private void set(String name, String value) throws Exception {
    ConfigResource topic =
        new ConfigResource(ConfigResource.Type.TOPIC, settings.nameOf(Topic.JUDGMENTS));
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      Void _ =
          admin
              .incrementalAlterConfigs(
                  Map.of(
                      topic,
                      List.of(
                          new AlterConfigOp(
                              new ConfigEntry(name, value), AlterConfigOp.OpType.SET))))
              .all()
              .get();
    }
  }

  /** Files of the broker that contain a text. */
  private static List<Path> filesWith(String text) throws IOException {
    List<Path> found = new ArrayList<>();
    List<Path> files;
    try (Stream<Path> all = Files.walk(directory.resolve("kafka"))) {
      files = all.filter(Files::isRegularFile).toList();
    }
    for (Path file : files) {
      try {
        if (new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).contains(text)) {
          found.add(file);
        }
      } catch (NoSuchFileException e) {
        // Deleted meanwhile.
      }
    }
    return found;
  }

  @Test
  void removesTheRecordsFromTheLogAndNothingElse() throws Exception {
    topics();
    set("segment.ms", "86400000");
    Map<String, String> before = ownConfig();
    TreeSet<String> others = new TreeSet<>();
    for (int i = 0; i < 60; i++) {
      boolean marked = i % 7 == 3;
      String value = (marked ? "marker-one " : "other ") + i;
      send("k" + i, value);
      if (!marked) {
        others.add(value);
      }
    }
    assertFalse(filesWith("marker-one").isEmpty());
    try (RecordEraser eraser = new RecordEraser(settings)) {
      ErasureScan scan = scan(eraser, "marker-one", new ArrayList<>());
      assertEquals(60, scan.records());
      assertEquals(9, scan.matching());
      assertEquals(0, scan.alsoDropped());
      assertEquals(Map.of(), eraser.erase(List.of(scan), LONG, line -> {}));
      List<String> left = new ArrayList<>();
      assertEquals(0, scan(eraser, "marker-one", left).matching());
      assertEquals(others, new TreeSet<>(left));
      assertEquals(others.size(), left.size());
    }
    assertEquals(List.of(), filesWith("marker-one"));
    assertEquals(before, ownConfig());
    // Other readers pass over the tombstones.
    try (RecordReader<?> reader = RecordReader.fromEarliest(settings, Topic.JUDGMENTS)) {
      assertEquals(others.size(), reader.countToEnd());
    }
  }

  @Test
  void countsTheOtherRecordsThatCompactionDrops() throws Exception {
    topics();
    for (String record : new String[] {"a one", "a two", "b marker-two", "b other", "c one"}) {
      send(record.substring(0, 1), record);
    }
    try (RecordEraser eraser = new RecordEraser(settings)) {
      ErasureScan scan = scan(eraser, "marker-two", new ArrayList<>());
      assertEquals(2, scan.alsoDropped(), "the first of key a, and the other of key b");
      assertEquals(Map.of(), eraser.erase(List.of(scan), LONG, line -> {}));
      List<String> left = new ArrayList<>();
      scan(eraser, "marker-two", left);
      assertEquals(List.of("a two", "c one"), left.stream().sorted().toList());
    }
  }

  @Test
  void refusesATopicWithRecordsWithoutAKey() throws Exception {
    topics();
    Map<String, String> before = ownConfig();
    send("a", "marker-three");
    send(null, "other");
    try (RecordEraser eraser = new RecordEraser(settings)) {
      ErasureScan scan = scan(eraser, "marker-three", new ArrayList<>());
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> eraser.erase(List.of(scan), LONG, line -> {}));
      assertTrue(e.getMessage().contains("1 records without a key"), e.getMessage());
      List<String> left = new ArrayList<>();
      assertEquals(1, scan(eraser, "marker-three", left).matching());
      assertEquals(2, left.size());
    }
    assertEquals(before, ownConfig());
  }

  @Test
  void aDeadlineThatPassesNamesTheTopicAndRestoresItsConfiguration() throws Exception {
    topics();
    Map<String, String> before = ownConfig();
    for (String key : Arrays.asList("a", "b", "c")) {
      send(key, "marker-four");
    }
    try (RecordEraser eraser = new RecordEraser(settings)) {
      ErasureScan scan = scan(eraser, "marker-four", new ArrayList<>());
      assertEquals(
          Map.of(settings.nameOf(Topic.JUDGMENTS), 3L),
          eraser.erase(List.of(scan), Duration.ZERO, line -> {}));
    }
    assertEquals(before, ownConfig());
  }
}
