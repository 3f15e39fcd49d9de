package io.millrace.campaign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.campaign.record.StageResult;
import io.millrace.demo.loop.GoldScores.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The engine with stages that crash at every possible point. */
class StageEngineTest {

  private static final List<String> STAGES = List.of("v0-chat", "v1-reward", "v1-policy", "v2-ppo");

  @TempDir private Path directory;

  /** The end of a process. */
  private static final class Crash extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /** Published checkpoints, which outlive a crash as the record does. */
  private final Map<String, Long> published = new TreeMap<>();

  private final List<String> log = new ArrayList<>();
  private int untilCrash = Integer.MAX_VALUE;
  private int points;

  /** A possible end of the process. */
  private void point() {
    points++;
    if (--untilCrash == 0) {
      throw new Crash();
    }
  }

  /** Publishes the next version, unless an earlier attempt has published it. */
  private final class Publishing implements Stage {
    private final String id;

    Publishing(String id) {
      this.id = id;
    }

    @Override
    public String id() {
      return id;
    }

    @Override
    public int version() {
      return id.charAt(1) - '0';
    }

    @Override
    public String title() {
      return id;
    }

    @Override
    public Map<String, Long> begin(CampaignRecord record) {
      point();
      return Map.of("latest", latest());
    }

    @Override
    public StageResult run(CampaignRecord record, Map<String, Long> start) {
      log.add(id);
      point();
      if (latest() == start.get("latest")) {
        published.put(id, start.get("latest") + 1);
      }
      point();
      CheckpointRef policy =
          new CheckpointRef(CheckpointRef.POLICY, "policy", latest(), "uri", "digest");
      return StageResult.builder()
          .consumed("in", 1)
          .produced("out", 2)
          .checkpoint(policy)
          .metric("nan", Double.NaN)
          .metric("x", 1.5)
          .build();
    }
  }

  private long latest() {
    return published.values().stream().mapToLong(Long::longValue).max().orElse(0);
  }

  /** One life of a process, to the end of the campaign or to a crash. */
  private CampaignRecord life(Consumer<StageRecord> listener) throws Exception {
    CampaignFile file = new CampaignFile(directory);
    StageEngine engine =
        new StageEngine(
            record -> {
              point();
              file.write(record);
              point();
            },
            () -> Instant.ofEpochSecond(1_000),
            listener);
    CampaignRecord known = file.read().orElseGet(() -> CampaignRecord.empty(7, Map.of("a", "b")));
    return engine.run(known, STAGES.stream().<Stage>map(Publishing::new).toList());
  }

  @Test
  void aCrashAtAnyPointDoesNotChangeTheResult() throws Exception {
    CampaignRecord undisturbed = life(stage -> {});
    int all = points;
    assertTrue(all >= STAGES.size() * 7, "crash points: " + all);
    List<CheckpointRef> expected =
        undisturbed.stages().stream().map(stage -> stage.checkpoints().getFirst()).toList();
    assertEquals(List.of(1L, 2L, 3L, 4L), expected.stream().map(CheckpointRef::version).toList());

    for (int crash = 1; crash <= all; crash++) {
      published.clear();
      Files.delete(directory.resolve(CampaignFile.NAME));
      untilCrash = crash;
      assertThrows(Crash.class, () -> life(stage -> {}), "crash point " + crash);
      untilCrash = Integer.MAX_VALUE;
      CampaignRecord resumed = life(stage -> {});
      assertEquals(
          expected,
          resumed.stages().stream().map(stage -> stage.checkpoints().getFirst()).toList(),
          "crash point " + crash);
      assertEquals(STAGES.size(), published.size(), "no version is published twice");
      assertTrue(resumed.stages().stream().allMatch(StageRecord::isDone));
      assertEquals(resumed, new CampaignFile(directory).read().orElseThrow());
    }
  }

  @Test
  void manyCrashesOneAfterTheOther() throws Exception {
    CampaignRecord record = null;
    for (int lives = 1; record == null; lives++) {
      assertTrue(lives < 100, "it never ends");
      // Most lives are too short for a stage, some are not.
      untilCrash = lives % 4 == 0 ? 8 : 3;
      try {
        record = life(stage -> {});
      } catch (Crash e) {
        log.add("crash");
      }
    }
    assertEquals(4, record.latest(CheckpointRef.POLICY).version());
    assertEquals(STAGES.size(), published.size());
    assertTrue(log.stream().filter("crash"::equals).count() > 10);
  }

  @Test
  void doneStagesDoNotRunAgainAndAttemptsAreCounted() throws Exception {
    // The first stage takes seven points; the second crashes in its work.
    untilCrash = 7 + 4;
    assertThrows(Crash.class, () -> life(stage -> {}));
    untilCrash = Integer.MAX_VALUE;
    log.clear();
    List<StageRecord> seen = new ArrayList<>();
    CampaignRecord record = life(seen::add);
    assertEquals(STAGES.subList(1, 4), log);
    assertEquals(2, seen.getFirst().attempts());
    assertEquals(List.of(1, 2, 1, 1), record.stages().stream().map(StageRecord::attempts).toList());
    assertEquals(STAGES, record.stages().stream().map(StageRecord::id).toList());
  }

  @Test
  void aVersionHasItsParentAndTheMetricsOfItsStages() throws Exception {
    CampaignRecord record = life(stage -> {});
    assertEquals(
        List.of("V0 (chat)", "RLHF-V1", "RLHF-V2"),
        record.versions().stream().map(CampaignRecord.Version::name).toList());
    CampaignRecord.Version second = record.versions().get(1);
    assertEquals("V0 (chat)", second.parent());
    assertEquals(3, second.policy().version());
    assertEquals(Map.of("x", 1.5), second.metrics());
    assertEquals(2L, second.counts().get("produced/reward/out"));
    assertEquals(1, record.chat().version());
  }

  private static StageRecord stage(String id, int version, long policy, Long served) {
    StageResult.Builder result = StageResult.builder();
    if (policy > 0) {
      result.checkpoint(
          new CheckpointRef(CheckpointRef.POLICY, "policy", policy, "u" + policy, ""));
    }
    if (served != null) {
      result.metric(CampaignRecord.SERVED, served);
    }
    return StageRecord.begun(id, version, "t", "now", Map.of()).done("later", 1, result.build());
  }

  @Test
  void aVersionBeginsWithThePromotedPolicyAndNotWithOneThatWasHeld() {
    CampaignRecord record =
        CampaignRecord.empty(1, Map.of())
            .with(stage("v0-supervised", 0, 1, null))
            .with(stage("v1-rejection-sampling", 1, 2, null))
            .with(stage("v1-evaluation", 1, 0, 2L))
            .with(stage("v2-rejection-sampling", 2, 3, null))
            .with(stage("v2-ppo", 2, 8, null))
            .with(stage("v2-evaluation", 2, 0, 2L))
            .with(stage("v3-rejection-sampling", 3, 9, null));
    assertEquals(
        List.of(1L, 2L, 2L, 9L),
        List.of(1, 2, 3, 4).stream().map(record::base).map(CheckpointRef::version).toList(),
        "version 2 was held; version 3 was not evaluated");
    assertEquals(9, record.latest(CheckpointRef.POLICY).version());
    assertEquals(
        List.of("V0 (chat)", "RLHF-V1", "RLHF-V1"),
        record.versions().stream().skip(1).map(CampaignRecord.Version::parent).toList());
    // The gate serves none: back to the chat checkpoint.
    assertEquals(1, record.with(stage("v3-evaluation", 3, 0, 0L)).base(4).version());
    assertThrows(NoSuchElementException.class, () -> record.base(0));
  }

  @Test
  void aStageIsOneFlatObjectInJson() throws Exception {
    Path file = directory.resolve(CampaignFile.NAME);
    life(stage -> {});
    JsonNode stage = new ObjectMapper().readTree(file.toFile()).at("/stages/1");
    assertEquals(
        List.of(
            "id",
            "version",
            "title",
            "state",
            "attempts",
            "started",
            "finished",
            "wall_seconds",
            "start",
            "consumed",
            "produced",
            "checkpoints",
            "metrics",
            "notes",
            "examples"),
        stage.propertyStream().map(Map.Entry::getKey).toList());
    assertEquals("DONE", stage.get("state").textValue());
    assertEquals(1.5, stage.at("/metrics/x").doubleValue());
    assertFalse(stage.get("metrics").has("nan"), "JSON has no NaN");
  }

  @Test
  void filesWithTheOldNamesOfFieldsAreRead() throws Exception {
    Path file = directory.resolve(CampaignFile.NAME);
    CampaignRecord record = life(stage -> {});
    StageRecord last = record.stages().getLast();
    StageResult more =
        StageResult.builder().metric("x", 2).examples(List.of(new Example("a", "b"))).build();
    record = record.with(last.done("later", 3, more));
    new CampaignFile(directory).write(record);
    String json = Files.readString(file);
    Files.writeString(
        file, json.replace("\"metrics\"", "\"figures\"").replace("\"examples\"", "\"said\""));
    assertEquals(record, new CampaignFile(directory).read().orElseThrow());
    assertEquals(2.0, record.versions().getLast().metrics().get("x"));
  }

  @Test
  void aFileThatIsNoRecordIsRefusedAndNotChanged() throws Exception {
    Path file = directory.resolve(CampaignFile.NAME);
    for (String content : List.of("", "{", "[]", "{\"format\": 99}", "{\"stages\": 5}", "null")) {
      Files.writeString(file, content);
      IOException e =
          assertThrows(IOException.class, () -> new CampaignFile(directory).read(), content);
      assertTrue(e.getMessage().contains(CampaignFile.NAME), e.getMessage());
      assertEquals(content, Files.readString(file));
    }
  }
}
