package io.millrace.tests.erase;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.cli.Millrace;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.Job;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.wire.SingleObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * {@code millrace erase} and {@code millrace lineage} on a broker whose files the test searches.
 */
@Tag("slow")
class EraseTest {

  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05Z");

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          Stream.concat(
                  OperatorHarness.TINY_MODEL.stream(),
                  Stream.of(
                      "model.seed=3",
                      "supervised.batch-size=2",
                      "supervised.sequence-length=64",
                      "supervised.publish-every=1000",
                      "reward-model.batch-size=8",
                      "reward-model.publish-every=16"))
              .toList());

  /** A command that ran in this process. */
  private record Outcome(int code, String out, String error) {
    JsonNode json() throws IOException {
      return new ObjectMapper().readTree(out);
    }
  }

  private static Outcome run(Deployment deployment, String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    for (String setting : deployment.settings()) {
      all.add("--set");
      all.add(setting);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream error = new ByteArrayOutputStream();
    PrintStream stdout = System.out;
    PrintStream stderr = System.err;
    try (PrintStream capturedOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream capturedError = new PrintStream(error, true, StandardCharsets.UTF_8)) {
      System.setOut(capturedOut);
      System.setErr(capturedError);
      int code =
          Millrace.commandLine()
              .setErr(new PrintWriter(capturedError, true, StandardCharsets.UTF_8))
              .execute(all.toArray(String[]::new));
      return new Outcome(
          code, out.toString(StandardCharsets.UTF_8), error.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(stdout);
      System.setErr(stderr);
    }
  }

  private static List<Turn> question(String text) {
    return List.of(new Turn(Role.USER, text));
  }

  private static Prompt prompt(String id, String source, String text) {
    return new Prompt(id, question(text), false, source, TIME);
  }

  private static Rollout rollout(String prompt, String source, String text, String response) {
    return Rollout.newBuilder()
        .setRolloutId(prompt + "/0")
        .setPromptId(prompt)
        .setDialogue(question(text))
        .setPromptTokens(List.of(1, 5))
        .setResponseTokens(List.of(6, 2))
        .setLogProbs(List.of(-0.5f, -0.25f))
        .setResponseText(response)
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(1)
        .setTemperature(1)
        .setTopP(1)
        .setSource(source)
        .setTime(TIME)
        .build();
  }

  private static Reward reward(String prompt) {
    return Reward.newBuilder()
        .setRolloutId(prompt + "/0")
        .setPromptId(prompt)
        .setPolicyVersion(1)
        .setIteration(1)
        .setHelpfulnessScore(1)
        .setSafetyScore(1)
        .setHelpfulnessVersion(1)
        .setSafetyVersion(1)
        .setCombined(1)
        .setWhitened(0)
        .setKl(0)
        .setTime(TIME)
        .build();
  }

  private static Demonstration demonstration(String id, String source, String text) {
    return Demonstration.newBuilder()
        .setId(id)
        .setDialogue(List.of(new Turn(Role.USER, "say it"), new Turn(Role.ASSISTANT, text)))
        .setSource(source)
        .setTime(TIME)
        .build();
  }

  private static Judgment judgment(
      String id, String annotator, String source, String text, String rollout) {
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(question("ask " + text))
        .setResponseA(new JudgedResponse("yes " + text, rollout, 1L, false, false))
        .setResponseB(new JudgedResponse("no " + text, null, null, false, false))
        .setPreferred(Preferred.A)
        .setRating(Rating.BETTER)
        .setAnnotator(annotator)
        .setSource(source)
        .setTime(TIME)
        .build();
  }

  private static <T extends SpecificRecordBase> DeadLetter letter(
      Deployment deployment, Topic<T> topic, long offset, String job, byte[] key, byte[] value) {
    return DeadLetter.newBuilder()
        .setTopic(deployment.kafka().nameOf(topic))
        .setPartition(0)
        .setOffset(offset)
        .setKey(ByteBuffer.wrap(key))
        .setValue(ByteBuffer.wrap(value))
        .setJob(job)
        .setReason("invalid")
        .setMessage("it is wrong")
        .setTime(TIME)
        .build();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static <T extends SpecificRecordBase> DeadLetter letter(
      Deployment deployment, Topic<T> topic, long offset, T record) {
    return letter(
        deployment,
        topic,
        offset,
        "job",
        topic.keyBytes(record),
        SingleObject.of(topic.type()).encode(record));
  }

  /** Files of the broker that contain a text. */
  private static List<Path> brokerFilesWith(String text) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.walk(HARNESS.directory().resolve("kafka"))) {
      files = all.filter(Files::isRegularFile).toList();
    }
    List<Path> found = new ArrayList<>();
    for (Path file : files) {
      try {
        if (new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).contains(text)) {
          found.add(file);
        }
      } catch (NoSuchFileException e) {
        // Kafka deleted it meanwhile.
      }
    }
    return found;
  }

  private static <T extends SpecificRecordBase> TreeSet<String> keys(
      Deployment deployment, Topic<T> topic) throws IOException {
    TreeSet<String> keys = new TreeSet<>();
    deployment.read(topic).forEach(record -> keys.add(topic.keyOf(record)));
    return keys;
  }

  private static void assertErased(Outcome outcome, String marker) throws IOException {
    assertEquals(0, outcome.code(), outcome.error() + outcome.out());
    assertFalse(outcome.out().contains(marker) || outcome.error().contains(marker));
    assertTrue(outcome.json().get("complete").asBoolean(), outcome.out());
    assertEquals(List.of(), brokerFilesWith(marker));
  }

  private static long matching(Outcome outcome, Deployment deployment, Topic<?> topic)
      throws IOException {
    for (JsonNode one : outcome.json().get("topics")) {
      if (one.get("topic").asText().equals(deployment.kafka().nameOf(topic))) {
        return one.get("matching").asLong();
      }
    }
    return -1;
  }

  @Test
  void eachKindOfErasureLeavesNoByteInTheBrokerAndAllOtherRecords() throws Exception {
    Deployment deployment = HARNESS.deploy("erase");
    List<Prompt> prompts = new ArrayList<>();
    List<Rollout> rollouts = new ArrayList<>();
    List<Reward> rewards = new ArrayList<>();
    List<Demonstration> demonstrations = new ArrayList<>();
    List<Judgment> judgments = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      // p3 goes by its id, the prompts of source "shop" by their source.
      String source = i % 5 == 0 ? "shop" : "web";
      String text =
          i == 3 ? "marker-id question" : i % 5 == 0 ? "marker-source " + i : "plain question " + i;
      String prompt = "p" + i;
      prompts.add(prompt(prompt, source, text));
      rollouts.add(rollout(prompt, source, text, "answer to " + text));
      rewards.add(reward(prompt));
      demonstrations.add(
          demonstration("d" + i, source, source.equals("shop") ? "do " + text : "plain deed " + i));
      String annotator = i % 4 == 1 ? "ann" : "other";
      judgments.add(
          judgment(
              "j" + i,
              annotator,
              "tool",
              annotator.equals("ann") ? "marker-annotator " + i : "plain judged " + i,
              null));
    }
    // It shows the prompt of another record, and so goes with that.
    judgments.add(judgment("shown", "other", "tool", "marker-id shown", "p3/0"));
    judgments.add(judgment("shown-shop", "other", "tool", "marker-source shown", "p5/0"));
    deployment.send(Topic.PROMPTS, prompts);
    deployment.send(Topic.ROLLOUTS, rollouts);
    deployment.send(Topic.REWARDS, rewards);
    deployment.send(Topic.DEMONSTRATIONS, demonstrations);
    deployment.send(Topic.JUDGMENTS, judgments);
    deployment.send(
        Topic.DEAD_LETTERS,
        List.of(
            letter(deployment, Topic.JUDGMENTS, 1, judgments.get(1)),
            letter(deployment, Topic.JUDGMENTS, 2, judgments.get(2)),
            letter(deployment, Topic.PROMPTS, 3, prompts.get(3)),
            letter(deployment, Topic.PROMPTS, 5, prompts.get(5)),
            letter(
                deployment, Topic.JUDGMENTS, 90, "job", bytes("x"), bytes("marker-annotator ann")),
            letter(deployment, Topic.PROMPTS, 91, "job", bytes("p3"), bytes("marker-id broken"))));
    for (String marker : new String[] {"marker-id", "marker-annotator", "marker-source"}) {
      assertFalse(brokerFilesWith(marker).isEmpty(), marker);
    }

    Outcome unsure = run(deployment, "erase", "--annotator", "ann", "--json");
    assertEquals(2, unsure.code());
    assertTrue(unsure.error().contains("give --yes"), unsure.error());
    Outcome planned = run(deployment, "erase", "--annotator", "ann", "--dry-run");
    assertEquals(0, planned.code(), planned.error());
    assertTrue(planned.out().contains("5 of 22 in erase.judgments"), planned.out());
    assertEquals(List.of(), deployment.read(Topic.WITHDRAWALS));

    Outcome annotator = run(deployment, "erase", "--annotator", "ann", "--yes", "--json");
    assertErased(annotator, "marker-annotator");
    assertEquals(5, matching(annotator, deployment, Topic.JUDGMENTS));
    assertEquals(2, matching(annotator, deployment, Topic.DEAD_LETTERS));
    assertEquals(1, annotator.json().get("undecoded").asLong());
    assertEquals(0, matching(annotator, deployment, Topic.PROMPTS));
    assertEquals(17, deployment.read(Topic.JUDGMENTS).size());
    assertEquals(20, deployment.read(Topic.PROMPTS).size());
    assertEquals(4, deployment.read(Topic.DEAD_LETTERS).size());

    Outcome id = run(deployment, "erase", "--id", "p3", "--yes", "--json");
    assertErased(id, "marker-id");
    assertEquals(1, matching(id, deployment, Topic.ROLLOUTS));
    assertEquals(1, matching(id, deployment, Topic.REWARDS));
    assertEquals(1, matching(id, deployment, Topic.JUDGMENTS));
    assertEquals(2, matching(id, deployment, Topic.DEAD_LETTERS));
    assertFalse(keys(deployment, Topic.DEMONSTRATIONS).isEmpty());

    Outcome source = run(deployment, "erase", "--source", "shop", "--yes", "--json");
    assertErased(source, "marker-source");
    assertEquals(4, matching(source, deployment, Topic.DEMONSTRATIONS));
    assertEquals(1, matching(source, deployment, Topic.JUDGMENTS));

    TreeSet<String> left = new TreeSet<>();
    IntStream.range(0, 20).filter(i -> i % 5 != 0 && i != 3).forEach(i -> left.add("p" + i));
    assertEquals(left, keys(deployment, Topic.PROMPTS));
    TreeSet<String> samples = new TreeSet<>();
    left.forEach(prompt -> samples.add(prompt + "/0"));
    assertEquals(samples, keys(deployment, Topic.ROLLOUTS));
    assertEquals(samples, keys(deployment, Topic.REWARDS));
    TreeSet<String> imitated = new TreeSet<>(List.of("d3"));
    left.forEach(prompt -> imitated.add("d" + prompt.substring(1)));
    assertEquals(imitated, keys(deployment, Topic.DEMONSTRATIONS));
    TreeSet<String> judged = new TreeSet<>();
    IntStream.range(0, 20).filter(i -> i % 4 != 1).forEach(i -> judged.add("j" + i));
    assertEquals(judged, keys(deployment, Topic.JUDGMENTS));
    assertEquals(
        new TreeSet<>(List.of("erase.judgments/0/2")), keys(deployment, Topic.DEAD_LETTERS));
    assertEquals(
        List.of("ANNOTATOR ann", "ID p3", "SOURCE shop"),
        deployment.read(Topic.WITHDRAWALS).stream()
            .sorted(
                (a, b) ->
                    a.getBy().compareTo(b.getBy()) == 0 ? 0 : a.getTime().compareTo(b.getTime()))
            .map((Withdrawal one) -> one.getBy() + " " + one.getName())
            .toList());

    Outcome listed = run(deployment, "lineage", "p4");
    assertEquals(0, listed.code(), listed.error());
    assertTrue(listed.out().startsWith("no published version has learned from p4"), listed.out());
    Outcome again = run(deployment, "erase", "--id", "p3", "--yes");
    assertEquals(2, again.code());
    assertTrue(again.error().contains("no record has the id 'p3'"), again.error());
  }

  /** Kafka would drop the records without a key. */
  @Test
  void aTopicWithRecordsWithoutAKeyStaysAndTheReportSaysWhatToDo() throws Exception {
    Deployment deployment = HARNESS.deploy("keyless");
    deployment.send(Topic.PROMPTS, List.of(prompt("p1", "shop", "marker-keyless question")));
    try (RecordWriter writer = new RecordWriter(deployment.kafka())) {
      writer.sendRaw(
          Topic.PROMPTS,
          null,
          SingleObject.of(Prompt.class).encode(prompt("p2", "web", "plain question")));
    }
    Outcome outcome = run(deployment, "erase", "--source", "shop", "--yes", "--json");
    assertEquals(1, outcome.code(), outcome.error());
    assertFalse(outcome.json().get("complete").asBoolean());
    assertTrue(
        outcome.json().get("problems").get(0).asText().contains("1 records without a key"),
        outcome.out());
    assertEquals(2, deployment.read(Topic.PROMPTS).size());
  }

  @Test
  void lineageNamesTheVersionsOfRealJobsAndEraseFindsTheTextsInOurFiles() throws Exception {
    Deployment deployment = HARNESS.deploy("lineage");
    deployment.send(
        Topic.DEMONSTRATIONS,
        IntStream.range(0, 8)
            .mapToObj(i -> demonstration("d" + i, "own", "imitate " + i))
            .toList());
    var _ = deployment.run(Job.SUPERVISED.graph(deployment.config(), true));
    PolicyCheckpoint start = deployment.read(Topic.POLICY_CHECKPOINTS).getLast();
    deployment.send(
        Topic.JUDGMENTS,
        IntStream.range(0, 40)
            .mapToObj(
                i ->
                    judgment(
                        "j" + i,
                        i < 3 ? "ann" : "other",
                        "own",
                        i < 3 ? "marker-" + i : "" + i,
                        null))
            .toList());
    var _ =
        deployment.run(
            Job.REWARD_MODEL.graph(deployment.config("model.initial=" + start.getUri()), true));

    JsonNode demonstrated = run(deployment, "lineage", "d0", "--json").json().get("versions");
    assertEquals("policy learned", first(demonstrated));
    assertTrue(demonstrated.get(0).get("onDisk").asBoolean());
    assertEquals(
        "reward-model-helpfulness descends",
        demonstrated.get(1).get("model").asText()
            + " "
            + demonstrated.get(1).get("relation").asText());

    Outcome judged = run(deployment, "lineage", "j0", "--json");
    assertEquals(0, judged.code(), judged.error());
    assertEquals("reward-model-helpfulness learned", first(judged.json().get("versions")));
    assertTrue(judged.json().get("versions").size() > 1, "later versions descend");
    Outcome table = run(deployment, "lineage", "j39");
    assertTrue(table.out().contains("learned from 1 record"), table.out());
    Outcome unknown = run(deployment, "lineage", "j99");
    assertEquals(2, unknown.code());
    assertTrue(unknown.error().contains("no record has the id 'j99'"), unknown.error());

    // Texts in files of ours: raw, and as JSON writes them.
    Path bag = deployment.checkpoints().resolve("bags").resolve("policy-v000001.jsonl");
    var _ = Files.createDirectories(bag.getParent());
    Files.writeString(bag, "{\"promptId\":\"x\",\"messages\":\"say yes marker-0\"}\n");
    Outcome erased = run(deployment, "erase", "--annotator", "ann", "--yes", "--json");
    assertEquals(1, erased.code(), erased.error());
    assertEquals(List.of(), brokerFilesWith("marker-0"));
    assertEquals(1, erased.json().get("files").size(), erased.out());
    assertEquals(bag.toString(), erased.json().get("files").get(0).get("file").asText());
    assertEquals("reward-model-helpfulness learned", first(erased.json().get("versions")));
    assertFalse(erased.out().contains("marker-0") || erased.error().contains("marker-0"));
  }

  private static String first(JsonNode versions) {
    return versions.get(0).get("model").asText() + " " + versions.get(0).get("relation").asText();
  }
}
