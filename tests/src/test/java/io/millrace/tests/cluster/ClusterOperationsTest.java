package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.jobs.Job;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What an operator does with a cluster, and what producers may do to it. */
@Tag("slow")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ClusterOperationsTest {

  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));

  private static final List<String> SETTINGS =
      List.of(
          "flink.checkpoint-interval=300ms",
          "model.hidden-size=16",
          "model.layers=1",
          "model.ffn-size=32",
          "model.max-positions=256",
          "reward-model.batch-size=20",
          "reward-model.publish-every=1000",
          "rollout.max-tokens=8",
          "rollout.max-prompt-tokens=120");

  private final ObjectMapper json = new ObjectMapper();
  private Path directory;
  private ClusterUnderTest cluster;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    cluster = ClusterUnderTest.start(directory.resolve("cluster"), 2);
  }

  @AfterAll
  void stop() throws Exception {
    if (cluster != null) {
      cluster.stop();
    }
  }

  private static List<Judgment> judgments(int count) {
    Annotators annotators = new Annotators(new DemoWorld(1, CLOCK), 1, CLOCK);
    List<Judgment> judgments = new ArrayList<>();
    judgments.addAll(annotators.archive(Objective.HELPFULNESS, count / 2));
    judgments.addAll(annotators.archive(Objective.SAFETY, count / 2));
    return judgments;
  }

  private static byte[] bytes(Judgment judgment) {
    return SingleObject.of(Judgment.class).encode(judgment);
  }

  /** Twelve records that no job can use, each with its reason, by key. */
  private static Map<String, Map.Entry<String, byte[]>> poison(Judgment good) {
    Judgment.Builder builder = Judgment.newBuilder(good);
    byte[] whole = bytes(good);
    byte[] unknown = whole.clone();
    unknown[5] ^= 1;
    byte[] notUtf8 = bytes(Judgment.newBuilder(good).setJudgmentId("utf8utf8").build());
    int at = new String(notUtf8, StandardCharsets.ISO_8859_1).indexOf("utf8utf8");
    notUtf8[at] = (byte) 0xff;
    JudgedResponse a = good.getResponseA();
    Map<String, Map.Entry<String, byte[]>> poison = new TreeMap<>();
    poison.put("p01", Map.entry("undecodable", "garbage".getBytes(StandardCharsets.UTF_8)));
    poison.put("p02", Map.entry("undecodable", new byte[1_200_000]));
    poison.put("p03", Map.entry("undecodable", Arrays.copyOf(whole, whole.length / 2)));
    poison.put("p04", Map.entry("undecodable", unknown));
    poison.put("p05", Map.entry("undecodable", notUtf8));
    poison.put("p06", Map.entry("undecodable", new byte[0]));
    poison.put("p07", Map.entry("invalid", bytes(builder.setJudgmentId(" ").build())));
    poison.put(
        "p08", Map.entry("invalid", bytes(builder.setJudgmentId("x".repeat(400_000)).build())));
    poison.put(
        "p09",
        Map.entry(
            "invalid",
            bytes(
                Judgment.newBuilder(good)
                    .setJudgmentId("p09")
                    .setResponseB(JudgedResponse.newBuilder(a).setText(" ").build())
                    .build())));
    poison.put(
        "p10",
        Map.entry(
            "same-responses",
            bytes(Judgment.newBuilder(good).setJudgmentId("p10").setResponseB(a).build())));
    poison.put(
        "p11",
        Map.entry(
            "invalid",
            bytes(
                Judgment.newBuilder(good)
                    .setJudgmentId("p11")
                    .setTime(Instant.ofEpochMilli(Long.MAX_VALUE))
                    .build())));
    poison.put(
        "p12",
        Map.entry("wrong-key", bytes(Judgment.newBuilder(good).setJudgmentId("other").build())));
    return poison;
  }

  @Test
  void twelvePoisonRecordsAmongSixHundred() throws Exception {
    Deployment deployment = new Deployment(cluster, directory, "poison", SETTINGS);
    Map<String, Long> before = cluster.pids();
    deployment.submit(Job.REWARD_MODEL);
    deployment.submit(Job.ROLLOUT);
    List<Judgment> good = judgments(600);
    var poison = poison(good.getFirst());
    assertEquals(12, poison.size());
    int each = good.size() / poison.size();
    int fed = 0;
    for (Map.Entry<String, Map.Entry<String, byte[]>> one : poison.entrySet()) {
      deployment.send(Topic.JUDGMENTS, good.subList(fed, fed + each));
      fed += each;
      deployment.sendRaw(
          Topic.JUDGMENTS,
          one.getKey().getBytes(StandardCharsets.UTF_8),
          one.getValue().getValue());
    }
    // The prompt that aborted every TaskManager in turn.
    Prompt spaces =
        Prompt.newBuilder()
            .setPromptId("spaces")
            .setDialogue(List.of(new Turn(Role.USER, " ".repeat(11_000_000) + "x")))
            .build();
    deployment.send(Topic.PROMPTS, List.of(spaces));
    deployment.send(Topic.PROMPTS, new DemoWorld(1, CLOCK).prompts(0, 20));
    ClusterUnderTest.await("20 responses", () -> deployment.read(Topic.ROLLOUTS).size() == 20);
    ClusterUnderTest.await(
        "the dead letters", () -> deployment.read(Topic.DEAD_LETTERS).size() >= 13);
    JsonNode status = json.readTree(cluster.run("status", "--json"));
    deployment.drain(Job.REWARD_MODEL);
    deployment.drain(Job.ROLLOUT);

    assertEquals(before, cluster.pids(), "processes that died");
    long learned = 0;
    for (RewardCheckpoint last : latest(deployment).values()) {
      learned += last.getJudgments();
    }
    assertEquals(600, learned);
    Map<String, String> reasons = new TreeMap<>();
    for (DeadLetter letter : deployment.read(Topic.DEAD_LETTERS)) {
      byte[] key = new byte[letter.getKey().remaining()];
      letter.getKey().duplicate().get(key);
      reasons.put(new String(key, StandardCharsets.UTF_8), letter.getReason());
      assertFalse(letter.getMessage().isBlank());
    }
    Map<String, String> expected = new TreeMap<>(Map.of("spaces", "too-long"));
    poison.forEach((key, one) -> expected.put(key, one.getKey()));
    assertEquals(expected, reasons);
    assertTrue(status.toString().contains("\"same-responses\":1"), status.toString());
    String list =
        cluster.withoutCluster(
            "deadletters",
            "list",
            "--bootstrap-servers",
            cluster.ports().kafkaAddress(),
            "--topic-prefix",
            "poison.");
    assertTrue(list.contains("13 dead letters"), list);
  }

  private static Map<Objective, RewardCheckpoint> latest(Deployment deployment) throws IOException {
    Map<Objective, RewardCheckpoint> latest = new TreeMap<>();
    deployment
        .read(Topic.REWARD_CHECKPOINTS)
        .forEach(announced -> latest.put(announced.getObjective(), announced));
    return latest;
  }

  @Test
  void aJobWithoutSlotsIsRefusedAndACancelledOneLeavesItsName() throws Exception {
    Deployment deployment = new Deployment(cluster, directory, "slots", SETTINGS);
    String refused =
        cluster.refused(deployment.command("submit", Job.ROLLOUT, "--set", "flink.parallelism=20"));
    assertTrue(refused.contains("20 slots"), refused);
    assertTrue(refused.contains("free"), refused);
    assertFalse(cluster.run("status").contains("slots.rollout"));

    deployment.submit(Job.ROLLOUT, "--set", "flink.parallelism=3");
    String twice = cluster.refused(deployment.command("submit", Job.ROLLOUT));
    assertTrue(twice.contains("slots.rollout"), twice);
    JsonNode job = job(deployment.jobName(Job.ROLLOUT));
    assertEquals("RUNNING", job.path("state").asText());
    cluster.run("cancel", deployment.jobName(Job.ROLLOUT));
    assertEquals("CANCELED", job(deployment.jobName(Job.ROLLOUT)).path("state").asText());
    deployment.submit(Job.ROLLOUT, "--set", "flink.parallelism=3");
    cluster.run("cancel", deployment.jobName(Job.ROLLOUT));
    String gone = cluster.refused("cancel", deployment.jobName(Job.ROLLOUT));
    assertTrue(gone.contains("slots.rollout"), gone);
  }

  /** The last job of that name in the status. */
  private JsonNode job(String name) throws Exception {
    JsonNode found = null;
    JsonNode status = json.readTree(cluster.run("status", "--json"));
    for (JsonNode job : status.path("jobs")) {
      if (job.path("name").asText().equals(name)
          && (found == null || !job.path("state").asText().equals("CANCELED"))) {
        found = job;
      }
    }
    assertTrue(found != null, status.toString());
    return found;
  }

  @Test
  void anUpgradeChangesTheConfigurationOrNothing() throws Exception {
    Deployment deployment = new Deployment(cluster, directory, "upgrade", SETTINGS);
    String name = deployment.jobName(Job.ROLLOUT);
    deployment.submit(Job.ROLLOUT);
    List<Prompt> prompts = new DemoWorld(1, CLOCK).prompts(0, 90);
    deployment.send(Topic.PROMPTS, prompts.subList(0, 30));

    // What is wrong is refused while the job runs on.
    String id = job(name).path("id").asText();
    for (String wrong : List.of("rollout.temperature=0", "rollout.no-such=1")) {
      String refused = cluster.refused(deployment.command("upgrade", Job.ROLLOUT, "--set", wrong));
      assertTrue(refused.contains(wrong.split("=")[0]), refused);
    }
    assertEquals(id, job(name).path("id").asText());
    assertEquals("RUNNING", job(name).path("state").asText());

    cluster.run(deployment.command("upgrade", Job.ROLLOUT, "--set", "rollout.temperature=0.5"));
    deployment.send(Topic.PROMPTS, prompts.subList(30, 60));
    ClusterUnderTest.await("60 responses", () -> deployment.read(Topic.ROLLOUTS).size() == 60);
    assertEquals(0.5f, deployment.read(Topic.ROLLOUTS).getLast().getTemperature());

    // The command has the secret and the TaskManagers have not: the job cannot start.
    String back =
        cluster.refused(
            Map.of("MILLRACE_TEST_SECRET", "s"),
            deployment.command(
                "upgrade",
                Job.ROLLOUT,
                "--set",
                "rollout.temperature=0.7",
                "--set",
                "kafka.properties.ssl.key.password=${env:MILLRACE_TEST_SECRET}"));
    assertTrue(back.contains("going back"), back);
    assertTrue(back.contains("runs with its earlier configuration"), back);
    deployment.send(Topic.PROMPTS, prompts.subList(60, 90));
    ClusterUnderTest.await("90 responses", () -> deployment.read(Topic.ROLLOUTS).size() >= 90);
    deployment.drain(Job.ROLLOUT);
    List<Rollout> rollouts = deployment.read(Topic.ROLLOUTS);
    assertEquals(90, rollouts.size());
    assertEquals(90, new HashSet<>(rollouts.stream().map(Rollout::getPromptId).toList()).size());
    assertEquals(0.5f, rollouts.getLast().getTemperature());
  }

  @Test
  void everyProcessListensOnLoopbackOnly() throws Exception {
    assumeTrue(Files.exists(Path.of("/proc/net/tcp")), "only Linux lists sockets in /proc");
    Map<String, String> listening = new TreeMap<>();
    for (String table : List.of("/proc/net/tcp", "/proc/net/tcp6")) {
      if (Files.exists(Path.of(table))) {
        for (String line : Files.readAllLines(Path.of(table))) {
          String[] columns = line.strip().split("\\s+");
          if (columns[3].equals("0A")) {
            listening.put(columns[9], columns[1]);
          }
        }
      }
    }
    int sockets = 0;
    for (Map.Entry<String, Long> process : cluster.pids().entrySet()) {
      for (String inode : sockets(process.getValue())) {
        String address = listening.get(inode);
        if (address != null) {
          sockets++;
          String host = address.substring(0, address.indexOf(':'));
          assertTrue(
              Set.of(
                      "0100007F",
                      "00000000000000000000000001000000",
                      "0000000000000000FFFF00000100007F")
                  .contains(host),
              process.getKey() + " listens on " + address);
        }
      }
    }
    // Kafka, ZooKeeper, REST, and RPC, blob and data ports of the Flink processes.
    assertTrue(sockets >= 8, sockets + " sockets listen");
  }

  private static Set<String> sockets(long pid) throws IOException {
    Set<String> inodes = new HashSet<>();
    try (Stream<Path> files = Files.list(Path.of("/proc", Long.toString(pid), "fd"))) {
      for (Path file : files.toList()) {
        try {
          String target = Files.readSymbolicLink(file).toString();
          if (target.startsWith("socket:[")) {
            inodes.add(target.substring("socket:[".length(), target.length() - 1));
          }
        } catch (IOException e) {
          // The process has closed it since.
        }
      }
    }
    return inodes;
  }
}
