package io.millrace.tests.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.cli.Millrace;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.registry.WireSettings;
import io.millrace.jobs.Job;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SchemaFiles;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * Judgments of producers in every format on one topic, some older and some newer than this build,
 * with Apicurio as the schema registry. The job reward-model learns from each once.
 */
@Tag("slow")
class RegistryTest {
  private static final Path EXAMPLES = Path.of("../docs/examples").toAbsolutePath().normalize();

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "flink.parallelism=1",
          "model.vocab-size=300",
          "model.hidden-size=16",
          "model.layers=1",
          "model.ffn-size=32",
          "reward-model.objectives=helpfulness",
          "reward-model.batch-size=1",
          "reward-model.publish-every=1000");

  @TempDir private Path directory;

  @Test
  void judgmentsOfEveryFormatAreLearnedFromOnce() throws Exception {
    String python = "/usr/bin/python3";
    assumeTrue(
        Program.works(List.of(python, "-c", "import avro.io, confluent_kafka")),
        "no avro and confluent_kafka here; on Debian: apt-get install python3-avro"
            + " python3-confluent-kafka");
    assumeTrue(
        Program.works(List.of("kcat", "-V")), "kcat is not here; on Debian: apt-get install kcat");
    Path schemas = directory.resolve("schemas");
    var _ = SchemaFiles.write(schemas);
    try (RegistryServer registry = RegistryServer.start(directory)) {
      Deployment millrace =
          HARNESS.deploy(
              "millrace",
              "schema.registry.url=" + registry.url(),
              "schema.output.reward-checkpoints=confluent",
              "schema.output.dead-letters=confluent",
              "schema.output.lineage=json");
      KafkaSettings kafka =
          millrace.kafka().with(WireSettings.of(registry.url(), Map.of(), Map.of()));
      String servers = kafka.bootstrapServers();
      TreeSet<String> expected = new TreeSet<>();

      run(List.of(python, example("python/send.py"), servers, schemas.toString()));
      expected.add("python-1-annotator-7");
      List<String> confluent =
          run(
              List.of(
                  python,
                  example("python/send_confluent.py"),
                  servers,
                  registry.url(),
                  schemas.toString()));
      assertTrue(
          confluent.getFirst().startsWith("sent judgment python-confluent-1 with schema id "),
          confluent.toString());
      expected.add("python-confluent-1");
      // The schema is there already, so its id is the same.
      List<String> curl =
          run(
              List.of(
                  example("curl_registry.sh"), registry.url(), schemas.toString(), "judgments"));
      assertTrue(
          curl.getFirst()
              .matches(
                  "\\{\"id\":%s\\}"
                      .formatted(confluent.getFirst().replaceFirst(".* schema id ", ""))),
          curl.toString());
      run(List.of(example("kcat_json.sh"), servers));
      expected.add("kcat-json-1-annotator-7");
      produce(servers, registry.url(), expected);
      sendOtherReleases(kafka, registry.url(), expected);
      sendBad(kafka);

      Map<String, Object> counts =
          millrace.run(Job.REWARD_MODEL.graph(millrace.config(), true)).getAllAccumulatorResults();
      assertEquals((long) expected.size(), counts.get("topics/judgments/accepted"), counts + "");
      assertEquals(expected, new TreeSet<>(learned(kafka)));
      assertEquals(expected.size(), learned(kafka).size());
      assertLetters(kafka);
      try (RecordReader<RewardCheckpoint> reader =
          RecordReader.fromEarliest(kafka, Topic.REWARD_CHECKPOINTS)) {
        reader.readToEnd(
            entry -> {
              assertEquals(0, entry.value()[0]);
              assertEquals("HELPFULNESS", entry.record().orElseThrow().getObjective().name());
            });
      }
    }
  }

  private static String example(String name) {
    return EXAMPLES.resolve(name).toString();
  }

  private List<String> run(List<String> command) throws Exception {
    return Program.start(directory, command).output();
  }

  /** The command produce, with Confluent's framing. */
  private void produce(String servers, String registry, TreeSet<String> expected)
      throws IOException {
    Path lines = directory.resolve("judgments.jsonl");
    Files.writeString(
        lines,
        """
        {"judgmentId": "produced", "objective": "HELPFULNESS", "dialogue": [{"role": "USER", "content": "Hi"}], \
        "responseA": {"text": "Hello."}, "responseB": {"text": "No."}, "preferred": "A", "rating": "BETTER", "annotator": "a"}
        """);
    assertEquals(
        0,
        Millrace.commandLine()
            .execute(
                "produce",
                "judgments",
                "--file",
                lines.toString(),
                "--bootstrap-servers",
                servers,
                "--schema-registry",
                registry,
                "--format",
                "confluent"));
    expected.add("produced");
  }

  /** A writer without the newest fields, and one of a later release with a further field. */
  private static void sendOtherReleases(
      KafkaSettings kafka, String registry, TreeSet<String> expected) throws Exception {
    Schema present = new Schema.Parser().parse(SchemaFiles.selfContained(schema()));
    Schema older =
        Schema.createRecord(
            present.getName(),
            null,
            present.getNamespace(),
            false,
            present.getFields().stream()
                .filter(field -> !List.of("source", "time", "revision").contains(field.name()))
                .map(field -> new Schema.Field(field, field.schema()))
                .toList());
    Schema newer =
        new Schema.Parser()
            .parse(
                present
                    .toString()
                    .replaceFirst(
                        "\"fields\":\\[",
                        "\"fields\":[{\"name\":\"seconds\",\"type\":\"double\"},"));
    try (RecordWriter writer = new RecordWriter(kafka)) {
      int release = 0;
      for (Schema schema : List.of(older, newer)) {
        int id = register(registry, "tool-" + release, schema);
        for (int i = 0; i < 3; i++) {
          String judgment = "release-%d-%d".formatted(release, i);
          writer.sendRaw(
              Topic.JUDGMENTS,
              judgment.getBytes(StandardCharsets.UTF_8),
              framed(id, schema, judgment));
          expected.add(judgment);
        }
        release++;
      }
    }
  }

  private static Schema schema() {
    return Judgment.getClassSchema();
  }

  private static int register(String registry, String subject, Schema schema) throws Exception {
    String body =
        "{\"schema\": \"%s\"}"
            .formatted(schema.toString().replace("\\", "\\\\").replace("\"", "\\\""));
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> answer =
          client.send(
              HttpRequest.newBuilder(
                      URI.create(registry + "/subjects/" + subject + "-value/versions"))
                  .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                  .POST(HttpRequest.BodyPublishers.ofString(body))
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      assertEquals(200, answer.statusCode(), answer.body());
      return Integer.parseInt(answer.body().replaceAll("\\D+", ""));
    }
  }

  private static byte[] framed(int id, Schema schema, String judgmentId) throws IOException {
    Schema turn = schema.getField("dialogue").schema().getElementType();
    GenericData.Record user = new GenericData.Record(turn);
    user.put("role", new GenericData.EnumSymbol(turn.getField("role").schema(), "USER"));
    user.put("content", "Hi");
    GenericData.Record judgment = new GenericData.Record(schema);
    judgment.put("judgmentId", judgmentId);
    judgment.put("dialogue", List.of(user));
    for (String symbol : List.of("objective=HELPFULNESS", "preferred=A", "rating=BETTER")) {
      String[] parts = symbol.split("=");
      judgment.put(
          parts[0], new GenericData.EnumSymbol(schema.getField(parts[0]).schema(), parts[1]));
    }
    for (String response : List.of("responseA", "responseB")) {
      GenericData.Record judged = new GenericData.Record(schema.getField(response).schema());
      judged.put("text", response);
      judgment.put(response, judged);
    }
    judgment.put("annotator", "tool");
    if (schema.getField("source") != null) {
      judgment.put("source", "");
      judgment.put("time", 0L);
      judgment.put("seconds", 1.5);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<>(schema).write(judgment, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private static void sendBad(KafkaSettings kafka) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (int i = 0; i < 20; i++) {
        send(writer, "unknown" + i, ByteBuffer.allocate(30).putInt(1, 1_000_000).array());
      }
      send(writer, "garbage", "garbage".getBytes(StandardCharsets.UTF_8));
      send(writer, "typo", "{\"judgementId\": \"typo\"}".getBytes(StandardCharsets.UTF_8));
      send(writer, "array", "[]".getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void send(RecordWriter writer, String key, byte[] value) throws IOException {
    writer.sendRaw(Topic.JUDGMENTS, key.getBytes(StandardCharsets.UTF_8), value);
  }

  /** What the newest version of the reward model learned from, as often as it is listed. */
  private static List<String> learned(KafkaSettings kafka) throws IOException {
    TreeMap<Long, List<String>> versions = new TreeMap<>();
    try (RecordReader<Lineage> reader = RecordReader.fromEarliest(kafka, Topic.LINEAGE)) {
      reader.readToEnd(
          entry -> {
            assertEquals('{', entry.value()[0]);
            Lineage part = entry.record().orElseThrow();
            assertEquals("judgments", part.getTopic());
            versions
                .computeIfAbsent(part.getVersion(), _ -> new ArrayList<>())
                .addAll(part.getIds());
          });
    }
    return versions.lastEntry().getValue();
  }

  private static void assertLetters(KafkaSettings kafka) throws IOException {
    Map<String, String> reasons = new TreeMap<>();
    try (RecordReader<DeadLetter> reader = RecordReader.fromEarliest(kafka, Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            assertEquals(0, entry.value()[0]);
            DeadLetter letter = entry.record().orElseThrow();
            reasons.put(
                StandardCharsets.UTF_8.decode(letter.getKey()).toString(), letter.getReason());
          });
    }
    Map<String, String> expected = new TreeMap<>();
    for (int i = 0; i < 20; i++) {
      expected.put("unknown" + i, "unknown-schema");
    }
    List.of("garbage", "typo", "array").forEach(key -> expected.put(key, "undecodable"));
    assertEquals(expected, reasons);
  }
}
