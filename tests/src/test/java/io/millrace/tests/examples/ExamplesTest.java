package io.millrace.tests.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.Job;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Verdict;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.SchemaFiles;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * The programs of {@code docs/examples}, as a user would run them, against a broker and the job
 * rollout. Those in Python, with kcat and with Node are skipped where the tools are missing
 * (Debian: {@code apt-get install python3-avro python3-confluent-kafka kcat}; {@code npm install
 * kafkajs}). {@link RegistryTest} runs those that need a schema registry.
 */
class ExamplesTest {
  private static final Path EXAMPLES = Path.of("../docs/examples").toAbsolutePath().normalize();
  private static final Path PYTHON = EXAMPLES.resolve("python");
  private static final Path JAVA = EXAMPLES.resolve("java");

  /** Sends one record with a wrong fingerprint and one with its bytes in the wrong order. */
  private static final String WRONG_FINGERPRINTS =
      """
      import struct, sys, confluent_kafka
      import single_object
      servers, directory = sys.argv[1:]
      fingerprint, _ = single_object.Schemas(directory).by_topic["prompts"]
      producer = confluent_kafka.Producer({"bootstrap.servers": servers})
      for key, header in [("unknown", struct.pack("<2sQ", b"\\xc3\\x01", fingerprint ^ 1)),
                          ("reversed", struct.pack(">2sQ", b"\\xc3\\x01", fingerprint))]:
          producer.produce("millrace.prompts", key=key, value=header + b"\\0")
      sys.exit(producer.flush(30))
      """;

  /** Reads every schema, and prints a prompt as hexadecimal digits. */
  private static final String FASTAVRO =
      """
      import fastavro, io, json, os, sys
      from fastavro.schema import fingerprint, to_parsing_canonical_form
      directory, = sys.argv[1:]
      read = lambda name: json.load(open(os.path.join(directory, name), encoding="utf-8"))
      for topic in read("index.json")["topics"]:
          for entry in [topic] + topic["earlier"]:
              schema = read(entry["file"])
              fastavro.parse_schema(schema)
              found = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
              assert "c301" + found == entry["header"], (entry, found)
          if topic["topic"] == "prompts":
              body = io.BytesIO(bytes.fromhex(topic["header"]))
              body.seek(10)
              fastavro.schemaless_writer(body, fastavro.parse_schema(read("prompts.avsc")),
                                         {"promptId": "p", "dialogue": [{"role": "USER", "content": "Hi"}]})
              print(body.getvalue().hex())
      """;

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "flink.parallelism=1",
          "model.hidden-size=16",
          "model.layers=1",
          "model.ffn-size=32",
          "rollout.max-tokens=8",
          "rollout.max-prompt-tokens=120");

  @TempDir private Path directory;
  private Deployment millrace;
  private String servers;
  private Path schemas;

  @BeforeEach
  void deploy() throws IOException {
    // The examples use the default prefix of topics.
    millrace = HARNESS.deploy("millrace");
    servers = millrace.kafka().bootstrapServers();
    schemas = directory.resolve("schemas");
    var _ = SchemaFiles.write(schemas);
  }

  private Program python(String python, String script, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(python, PYTHON.resolve(script).toString()));
    command.addAll(List.of(arguments));
    return Program.start(directory, command);
  }

  @Test
  void pythonWritesWhatMillraceReadsAndReadsWhatItWrites() throws Exception {
    String python =
        python(
            "avro.io, avro.schema, confluent_kafka",
            "avro and confluent_kafka",
            "on Debian: apt-get install python3-avro python3-confluent-kafka");
    assertEquals(
        List.of("sent prompt python-1 and judgment python-1-annotator-7"),
        python(python, "send.py", servers, schemas.toString()).output());
    Program wrong =
        Program.start(
            PYTHON, List.of(python, "-c", WRONG_FINGERPRINTS, servers, schemas.toString()));
    assertEquals(List.of(), wrong.output());

    Prompt prompt =
        records(Topic.PROMPTS).stream()
            .filter(p -> p.getPromptId().equals("python-1"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(), Validation.problems(prompt));
    assertEquals(
        "Wie heißt die Hauptstadt von Frankreich?", prompt.getDialogue().getFirst().getContent());
    assertTrue(
        Duration.between(prompt.getTime(), Instant.now()).abs().compareTo(Duration.ofMinutes(5))
            < 0,
        prompt.getTime().toString());
    Judgment judgment = records(Topic.JUDGMENTS).getFirst();
    assertEquals(List.of(), Validation.problems(judgment));
    assertEquals("Paris.", judgment.getResponseA().getText());
    assertEquals(false, judgment.getResponseA().getUnsafe());
    assertEquals(Optional.empty(), Optional.ofNullable(judgment.getResponseB().getUnsafe()));

    abortRollout();
    var _ = millrace.run(Job.ROLLOUT.graph(millrace.config(), true));
    List<Rollout> rollouts = records(Topic.ROLLOUTS);
    assertTrue(
        rollouts.stream().anyMatch(rollout -> rollout.getPromptId().equals("python-1")),
        rollouts.toString());
    assertEquals(rollouts, readByPython(python, Topic.ROLLOUTS));

    millrace.send(Topic.POLICY_CHECKPOINTS, List.of(announcement("elsewhere", 7, "/none", "0")));
    assertEquals(records(Topic.POLICY_CHECKPOINTS), readByPython(python, Topic.POLICY_CHECKPOINTS));

    List<DeadLetter> letters = records(Topic.DEAD_LETTERS);
    assertEquals(letters, readByPython(python, Topic.DEAD_LETTERS));
    DeadLetter unknown = letter(letters, "unknown");
    assertEquals("undecodable", unknown.getReason());
    assertTrue(
        unknown.getMessage().contains("no Prompt schema with fingerprint"), unknown.getMessage());
    assertTrue(unknown.getMessage().contains("millrace schemas --out DIR"), unknown.getMessage());
    DeadLetter reversed = letter(letters, "reversed");
    assertEquals("undecodable", reversed.getReason());
    assertTrue(
        reversed.getMessage().contains("its bytes are in big-endian order"), reversed.getMessage());
  }

  private <T extends SpecificRecordBase> List<T> readByPython(String python, Topic<T> topic)
      throws Exception {
    return python(python, "read.py", servers, schemas.toString(), topic.name()).output().stream()
        .map(line -> JsonLines.read(topic.type(), line))
        .toList();
  }

  private static DeadLetter letter(List<DeadLetter> letters, String key) {
    return letters.stream()
        .filter(letter -> StandardCharsets.UTF_8.decode(letter.getKey()).toString().equals(key))
        .findFirst()
        .orElseThrow(() -> new AssertionError(key + " is not among " + letters));
  }

  /** The records that can be decoded, oldest first. */
  private <T extends SpecificRecordBase> List<T> records(Topic<T> topic) throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(millrace.kafka(), topic)) {
      reader.readToEnd(entry -> entry.record().ifPresent(records::add));
    }
    return records;
  }

  /** A rollout of a transaction that is aborted: no reader sees it. */
  private void abortRollout() {
    Rollout rollout =
        Rollout.newBuilder()
            .setRolloutId("aborted/0")
            .setPromptId("aborted")
            .setDialogue(List.of())
            .setPromptTokens(List.of(1))
            .setResponseTokens(List.of(2))
            .setLogProbs(List.of(-1f))
            .setResponseText("")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(1)
            .setTemperature(1)
            .build();
    try (KafkaProducer<byte[], byte[]> producer =
        millrace
            .kafka()
            .client(
                properties ->
                    new KafkaProducer<>(
                        properties, new ByteArraySerializer(), new ByteArraySerializer()),
                Map.of("transactional.id", "examples"))) {
      producer.initTransactions();
      producer.beginTransaction();
      var _ =
          producer.send(
              new ProducerRecord<>(
                  millrace.kafka().nameOf(Topic.ROLLOUTS),
                  SingleObject.of(Rollout.class).encode(rollout)));
      producer.flush();
      producer.abortTransaction();
    }
  }

  @Test
  void fastavroReadsTheSchemas() throws Exception {
    String python = python("fastavro", "fastavro", "pip install fastavro");
    String hex =
        Program.start(directory, List.of(python, "-c", FASTAVRO, schemas.toString()))
            .output()
            .getFirst();
    // fastavro fills in the defaults.
    assertEquals(
        JsonLines.read(
            Prompt.class,
            """
            {"promptId": "p", "dialogue": [{"role": "USER", "content": "Hi"}]}\
            """),
        SingleObject.of(Prompt.class).decode(HexFormat.of().parseHex(hex)));
  }

  @Test
  void kcatSendsAndReadsAPrompt() throws Exception {
    String python =
        python("avro.io, avro.schema", "avro", "on Debian: apt-get install python3-avro");
    assumeTrue(
        Program.works(List.of("kcat", "-V")), "kcat is not here; on Debian: apt-get install kcat");
    Program kcat =
        Program.start(
            directory,
            List.of(EXAMPLES.resolve("kcat.sh").toString(), servers, schemas.toString()),
            Map.of("PYTHON", python));
    Prompt prompt =
        kcat.output().stream()
            .map(line -> JsonLines.read(Prompt.class, line))
            .filter(p -> p.getPromptId().equals("kcat-1"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(), Validation.problems(prompt));
    assertEquals(Instant.parse("2026-01-02T03:04:05.678Z"), prompt.getTime());
    assertTrue(records(Topic.PROMPTS).contains(prompt));
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(millrace.kafka(), Topic.PROMPTS)) {
      List<String> keys = new ArrayList<>();
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(prompt::equals)
                  .ifPresent(_ -> keys.add(new String(entry.key(), StandardCharsets.UTF_8))));
      assertEquals(List.of("kcat-1"), keys);
    }
  }

  @Test
  void kcatSendsJson() throws Exception {
    assumeTrue(
        Program.works(List.of("kcat", "-V")), "kcat is not here; on Debian: apt-get install kcat");
    assertEquals(
        List.of(),
        Program.start(directory, List.of(EXAMPLES.resolve("kcat_json.sh").toString(), servers))
            .output());
    assertJson("kcat-json-1");
  }

  @Test
  void nodeSendsJson() throws Exception {
    assumeTrue(
        Program.works(List.of("node", "-e", "require('kafkajs')")),
        "node here has no kafkajs; npm install kafkajs, and set NODE_PATH to its node_modules");
    assertEquals(
        List.of("sent prompt node-1 and judgment node-1-annotator-7"),
        Program.start(
                directory, List.of("node", EXAMPLES.resolve("node/send.js").toString(), servers))
            .output());
    assertJson("node-1");
  }

  /** A prompt and a judgment that were sent as JSON are valid, and a job takes the prompt once. */
  private void assertJson(String promptId) throws Exception {
    Prompt prompt =
        records(Topic.PROMPTS).stream()
            .filter(p -> p.getPromptId().equals(promptId))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(), Validation.problems(prompt));
    assertEquals(
        "Wie heißt die Hauptstadt von Frankreich?", prompt.getDialogue().getFirst().getContent());
    Judgment judgment =
        records(Topic.JUDGMENTS).stream()
            .filter(j -> j.getJudgmentId().equals(promptId + "-annotator-7"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(), Validation.problems(judgment));
    var _ = millrace.run(Job.ROLLOUT.graph(millrace.config(), true));
    assertEquals(
        1, records(Topic.ROLLOUTS).stream().filter(r -> r.getPromptId().equals(promptId)).count());
  }

  @Test
  void javaSendsAPromptWithTheClassPathOfTheClient() throws Exception {
    List<String> output = java("SendPrompt.java", servers).output();
    assertEquals("sent prompt java-1", output.getFirst());
    assertTrue(
        records(Topic.PROMPTS).stream().anyMatch(p -> p.getPromptId().equals("java-1")),
        "the prompt is in the topic");
  }

  @Test
  void javaFollowsPoliciesWithTheClassPathOfTheClient() throws Exception {
    CheckpointStore store = new CheckpointStore(directory.resolve("checkpoints").toString());
    PolicyCheckpoint one = publish(store, 1);
    try (Program all = java("FollowPolicies.java", servers, directory.resolve("all").toString());
        Program promoted =
            java(
                "FollowPolicies.java",
                servers,
                directory.resolve("promoted").toString(),
                "promoted")) {
      assertServes(all, "all", one);
      PolicyCheckpoint two = publish(store, 2);
      assertServes(all, "all", two);
      promote(one, Verdict.PROMOTE);
      assertServes(promoted, "promoted", one);
      promote(two, Verdict.PROMOTE);
      assertServes(promoted, "promoted", two);
      promote(one, Verdict.ROLL_BACK);
      assertServes(promoted, "promoted", one);
    }
  }

  private void assertServes(Program program, String copies, PolicyCheckpoint policy)
      throws Exception {
    String line = program.nextLine();
    assertTrue(
        line.startsWith(
            "serving version %d from %s: 9 bytes of weights"
                .formatted(
                    policy.getVersion(),
                    directory.resolve(copies).resolve("policy-v00000" + policy.getVersion()))),
        line);
  }

  private PolicyCheckpoint publish(CheckpointStore store, long version) throws IOException {
    StagedFiles files =
        store.stage(
            "policy",
            version,
            staged -> {
              Files.writeString(staged.resolve("config.json"), "{}");
              Files.writeString(staged.resolve("model.safetensors"), "weights " + version);
              Files.writeString(
                  staged.resolve(CheckpointStore.MANIFEST),
                  """
                  {"files": {"config.json": {"sha256": "%s", "size": 2},
                             "model.safetensors": {"sha256": "%s", "size": 9}}}
                  """
                      .formatted(Sha256.of("{}"), Sha256.of("weights " + version)));
            });
    store.commit(files);
    PolicyCheckpoint announced =
        announcement("policy", version, files.finalUri(), files.manifestSha256());
    millrace.send(Topic.POLICY_CHECKPOINTS, List.of(announced));
    return announced;
  }

  private static PolicyCheckpoint announcement(
      String model, long version, String uri, String manifestSha256) {
    return PolicyCheckpoint.newBuilder()
        .setModel(model)
        .setVersion(version)
        .setUri(uri)
        .setManifestSha256(manifestSha256)
        .setIteration(version)
        .setStep(version)
        .setMetrics(Map.of("objective/kl", 0.5))
        .setTime(Instant.EPOCH)
        .build();
  }

  private void promote(PolicyCheckpoint serve, Verdict verdict) throws IOException {
    millrace.send(
        Topic.PROMOTIONS,
        List.of(
            Promotion.newBuilder()
                .setModel("policy")
                .setVersion(serve.getVersion())
                .setVerdict(verdict)
                .setEvaluated(serve.getVersion())
                .setUri(serve.getUri())
                .setManifestSha256(serve.getManifestSha256())
                .setTime(Instant.EPOCH)
                .build()));
  }

  /** Compiles and runs an example with the jars of connectors/client/class-path.txt alone. */
  private Program java(String source, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                ClientClassPath.find(),
                JAVA.resolve(source).toString()));
    command.addAll(List.of(arguments));
    return Program.start(directory, command);
  }

  /** A python3 with these modules: the first of the path, or the system's. */
  private static String python(String imports, String modules, String hint) throws Exception {
    for (String python : List.of("python3", "/usr/bin/python3")) {
      if (Program.works(List.of(python, "-c", "import " + imports))) {
        return python;
      }
    }
    assumeTrue(false, "no python3 here can import %s; %s".formatted(modules, hint));
    throw new IllegalStateException("assumeTrue(false) throws");
  }
}
