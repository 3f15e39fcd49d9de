package io.millrace.tests.campaign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.cluster.JvmFlags;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code millrace campaign} as a process, killed by SIGKILL in every stage that runs a job. */
@Tag("slow")
class CampaignKillTest {

  private static final Path BUILT =
      Path.of("..", "flink-jobs", "cli", "target", "distribution", "lib").toAbsolutePath();
  private static final Duration PATIENCE = Duration.ofMinutes(8);

  private static final List<String> STAGES =
      List.of(
          "v0-supervised",
          "v1-judgments",
          "v1-reward-models",
          "v1-rejection-sampling",
          "v2-judgments",
          "v2-rejection-sampling",
          "v2-ppo",
          "v2-last-samples-only");

  @TempDir private Path directory;

  @Test
  void whereverItIsKilledItGoesOnAndLearnsFromNothingTwice() throws Exception {
    int kills = 0;
    for (String stage : STAGES) {
      if (runUntil(stage)) {
        kills++;
      }
    }
    assertTrue(kills > STAGES.size() / 2, "too few stages lasted long enough: " + kills);
    Process last = start();
    assertTrue(last.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS), said());
    assertEquals(0, last.exitValue(), said());

    CampaignRecord record = new CampaignFile(data()).read().orElseThrow();
    assertTrue(record.stages().stream().allMatch(StageRecord::isDone));
    int again = record.stages().stream().mapToInt(s -> s.attempts() - 1).sum();
    // A stage may have ended in the moment in which it was to be killed.
    assertTrue(again <= kills && again > kills / 2, again + " more attempts, " + kills + " kills");
    for (StageRecord stage : record.stages()) {
      for (CheckpointRef checkpoint : stage.checkpoints()) {
        Path files = CheckpointStore.resolve(checkpoint.uri(), checkpoint.manifestSha256());
        assertTrue(CheckpointDirectory.verify(files).isSound(), checkpoint.toString());
      }
    }
    requireOnce(record);
  }

  /** What Kafka holds: nothing sent, learned from or announced twice. */
  private void requireOnce(CampaignRecord record) throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(data().resolve("kafka"), 0)) {
      KafkaSettings kafka = KafkaSettings.of(broker.bootstrapServers());
      assertUnique(kafka, Topic.DEMONSTRATIONS, d -> d.getId());
      assertUnique(kafka, Topic.JUDGMENTS, j -> j.getJudgmentId());
      assertUnique(kafka, Topic.PROMPTS, p -> p.getPromptId());
      assertUnique(kafka, Topic.ROLLOUTS, r -> r.getRolloutId() + " of " + r.getPolicyVersion());
      long learned = assertUnique(kafka, Topic.REWARDS, r -> r.getRolloutId());
      assertEquals(
          record.stages().stream()
              .mapToLong(stage -> stage.consumed().getOrDefault("rollouts", 0L))
              .sum(),
          learned);
      Map<Long, String> digests = new HashMap<>();
      assertUnique(
          kafka,
          Topic.POLICY_CHECKPOINTS,
          policy -> {
            String digest = digests.putIfAbsent(policy.getVersion(), policy.getManifestSha256());
            assertTrue(
                digest == null || digest.equals(policy.getManifestSha256()),
                "version " + policy.getVersion() + " has two contents");
            return policy.getModel() + policy.getVersion();
          });
    }
  }

  private static <T extends SpecificRecordBase> long assertUnique(
      KafkaSettings kafka, Topic<T> topic, Function<T, String> id) throws IOException {
    Set<String> seen = new HashSet<>();
    List<String> twice = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(
          entry -> {
            String key = id.apply(entry.record().orElseThrow());
            if (!seen.add(key)) {
              twice.add(key);
            }
          });
    }
    assertEquals(List.of(), twice, topic.name() + " holds these twice");
    return seen.size();
  }

  /**
   * Runs the campaign until a stage has been under way for a moment, and kills it.
   *
   * @return false where the stage was done before it could be killed
   */
  private boolean runUntil(String stage) throws Exception {
    Process process = start();
    try {
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (System.nanoTime() < deadline) {
        assertTrue(process.isAlive(), said());
        StageRecord at = stage(stage);
        if (at != null && at.isDone()) {
          return false;
        }
        if (at != null && hasFlinkCheckpoint(stage)) {
          return true;
        }
        TimeUnit.MILLISECONDS.sleep(5);
      }
      throw new AssertionError("waited in vain for " + stage + "\n" + said());
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  private StageRecord stage(String id) throws IOException {
    return new CampaignFile(data())
        .read()
        .flatMap(r -> r.stages().stream().filter(s -> s.id().equals(id)).findFirst())
        .orElse(null);
  }

  /** There is something to go on from, so that more than a new beginning is tried. */
  private boolean hasFlinkCheckpoint(String stage) throws IOException {
    Path state = data().resolve("flink").resolve(stage);
    if (!Files.isDirectory(state)) {
      return false;
    }
    try (var files = Files.walk(state)) {
      return files.anyMatch(file -> file.getFileName().toString().equals("_metadata"));
    } catch (java.io.UncheckedIOException e) {
      // A Flink checkpoint that was deleted meanwhile.
      return false;
    }
  }

  private Path data() {
    return directory.resolve("campaign");
  }

  private Path output() {
    return directory.resolve("out.txt");
  }

  private String said() throws IOException {
    return Files.readString(output());
  }

  private Process start() throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JvmFlags.required());
    command.addAll(List.of("-Xmx1g", "-XX:+UseSerialGC"));
    command.add("-Dmillrace.log=" + directory.resolve("millrace.log"));
    command.add("-cp");
    command.add(BUILT + "/*");
    command.add("io.millrace.cli.Millrace");
    command.add("campaign");
    for (String setting : SmallCampaign.settings(data(), 2)) {
      command.add("--set");
      command.add(setting);
    }
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(output().toFile()))
        .start();
  }
}
