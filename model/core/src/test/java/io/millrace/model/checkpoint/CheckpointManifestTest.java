package io.millrace.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.checkpoint.CheckpointManifest.FileEntry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code millrace.json}: round trips, and refusals that name the field. */
class CheckpointManifestTest {
  private static final String DIGEST = "0123456789abcdef".repeat(4);

  @TempDir Path dir;

  private static CheckpointManifest manifest(Long parent, Map<String, Long> records) {
    return CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "SAFETY", 7)
        .parent(parent)
        .iteration(2)
        .step(1L << 40)
        .records(records)
        .metrics(Map.of("accuracy", 0.1 + 0.2, "loss", -1e-300))
        .scores(
            Optional.of(new ScoreScale(256, -1.5, 0, 0.25, 4).withHeadOffsets(List.of(0.5, -0.5))))
        .build()
        .withFiles(Map.of("config.json", new FileEntry(DIGEST, 5_000_000_000L)));
  }

  @Test
  void roundTrips() throws IOException {
    for (Long parent : new Long[] {null, 0L, 6L}) {
      CheckpointManifest manifest = manifest(parent, Map.of("judgments", 1200L));
      Path file = Files.writeString(dir.resolve("millrace.json"), manifest.toJson());
      assertEquals(manifest, CheckpointManifest.read(file));
    }
  }

  @Test
  void orderOfKeysDoesNotMatter() {
    Map<String, Long> one = new LinkedHashMap<>();
    one.put("b", 1L);
    one.put("a", 2L);
    Map<String, Long> other = new LinkedHashMap<>();
    other.put("a", 2L);
    other.put("b", 1L);
    assertEquals(manifest(null, one).toJson(), manifest(null, other).toJson());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"format\" : 1 | \"format\" : 2 | format is 2",
        "\"kind\" : \"REWARD_MODEL\" | \"kind\" : \"CRITIC\" | kind is 'CRITIC'",
        "\"name\" : \"SAFETY\" | \"name\" : \" \" | name is blank",
        "\"version\" : 7 | \"version\" : -7 | version is -7",
        "\"version\" : 7 | \"version\" : 7.5 | version is 7.5",
        "\"version\" : 7 | \"version\" : 99999999999999999999 | version is 9999",
        "\"version\" : 7, | ` ` | version is absent",
        "\"parent\" : 6 | \"parent\" : 7 | parent is 7",
        "\"judgments\" : 3 | \"judgments\" : -3 | records.judgments is -3",
        "\"judgments\" : 3 | \"judgments\" : \"3\" | records.judgments is \"3\"",
        "\"loss\" : -1.0E-300 | \"loss\" : 1e999 | metrics.loss is Infinity",
        "\"loss\" : -1.0E-300 | \"loss\" : null | metrics.loss is null",
        "config.json | ../config.json | files holds '../config.json'",
        "config.json | millrace.json | files holds 'millrace.json'",
        "\"sha256\" : \"0 | \"sha256\" : \"X | files.config.json: sha256",
        "5000000000 | -1 | size is -1",
        "\"anchors\" : 256 | \"anchors\" : 0 | scores.anchors is 0",
        "\"below\" : 0.25 | \"below\" : 0 | scores.below is 0.0",
        "\"below\" : 0.25 | \"below\" : 1e999 | scores.below is Infinity",
        "\"below\" : 0.25 | \"below\" : -1 | scores.below is -1.0",
        "\"below\" : 0.25 | \"below\" : 1e300 | scores.below is 1.0E300",
        "\"below\" : 0.25 | \"below\" : 1e-320 | scores.below is 1.0E-320",
        "\"pivot\" : -1.5 | \"pivot\" : -1e300 | scores.pivot is -1.0E300",
        "\"value\" : 0.0 | \"value\" : \"0\" | scores.value is \"0\"",
        "\"value\" : 0.0 | \"value\" : NaN | not well-formed",
        "\"anchors\" : 256 | \"anchors\" : 99999999999 | scores.anchors is 99999999999",
        "\"format\" : 1 | \"format\" : 99999999999 | format is 99999999999",
        "\"REWARD_MODEL\" | \"POLICY\" | scores must be absent",
        "\"scores\" : { | \"scores\" : null, \"x\" : { | scores is null",
        "\"pivot\" : -1.5, | ` ` | scores.pivot is absent",
        "\"step\" | \"version\" | not well-formed",
      })
  void refusalsNameTheField(String from, String to, String inMessage) throws IOException {
    String good = manifest(6L, Map.of("judgments", 3L)).toJson();
    assertTrue(good.contains(from), good);
    Path file = Files.writeString(dir.resolve("millrace.json"), good.replace(from, to));
    String message =
        assertThrows(CheckpointException.class, () -> CheckpointManifest.read(file)).getMessage();
    assertTrue(message.startsWith(file.toString()), message);
    assertTrue(message.contains(inMessage), message);
  }

  @Test
  void refusesMetricsThatAreNotFinite() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                CheckpointManifest.describing(CheckpointKind.POLICY, "p", 1)
                    .metrics(Map.of("kl", Double.NaN))
                    .build());
    assertTrue(e.getMessage().contains("metrics.kl is NaN"), e.getMessage());
  }

  @Test
  void anchoredScoresAreFinite() {
    ScoreScale steep = new ScoreScale(2, -Float.MAX_VALUE, Float.MAX_VALUE, 1e6, 1e6);
    for (float score : new float[] {-Float.MAX_VALUE, -1, 0, 1, Float.MAX_VALUE}) {
      assertTrue(Float.isFinite(steep.anchored(score)), score + ": " + steep.anchored(score));
    }
  }

  @Test
  void fieldsThatAreNotSetAreEmpty() {
    CheckpointManifest manifest =
        CheckpointManifest.describing(CheckpointKind.POLICY, "p", 0).build();
    assertEquals(
        new CheckpointManifest(
            CheckpointManifest.FORMAT_VERSION,
            CheckpointKind.POLICY,
            "p",
            0,
            null,
            0,
            0,
            Map.of(),
            Map.of(),
            Optional.empty(),
            Optional.empty(),
            Map.of()),
        manifest);
  }

  @Test
  void refusesToBuildWhatItWouldNotRead() {
    CheckpointManifest.Builder builder =
        CheckpointManifest.describing(CheckpointKind.POLICY, "p", 3).parent(3L);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, builder::build);
    assertTrue(e.getMessage().contains("parent is 3"), e.getMessage());
    builder.parent(2L).records(Map.of("rollouts", -1L));
    e = assertThrows(IllegalArgumentException.class, builder::build);
    assertTrue(e.getMessage().contains("records.rollouts is -1"), e.getMessage());
  }
}
