package io.millrace.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Licence, readme, generation settings and padding token of the initial model stay. */
class CarriedFilesTest {
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(20)
          .hiddenSize(8)
          .layers(1)
          .heads(2)
          .kvHeads(2)
          .headDim(4)
          .ffnSize(12)
          .maxPositions(32)
          .tiedHead(true)
          .bosToken(1)
          .eosTokens(List.of(2, 3))
          .build();

  @TempDir Path temp;

  private Path write(String name, CheckpointKind kind, CarriedFiles carried) {
    Path dir = temp.resolve(name);
    Map<String, TensorSource> weights = new TreeMap<>();
    for (ParameterSpec spec : kind.parameters(CONFIG)) {
      weights.put(
          spec.name(),
          TensorSource.of(spec.shape(), new float[Math.toIntExact(spec.elementCount())]));
    }
    CheckpointDirectory.write(
        dir,
        CONFIG,
        weights,
        CarriedFilesTest::writeTokenizer,
        carried,
        CheckpointManifest.describing(kind, "demo", 3).build());
    return dir;
  }

  private static void writeTokenizer(Path dir) throws IOException {
    Files.writeString(dir.resolve("tokenizer.json"), "{}");
  }

  private Path initial() throws IOException {
    Path dir = write("initial", CheckpointKind.POLICY, CarriedFiles.none());
    Files.delete(dir.resolve("millrace.json"));
    ObjectNode config = Json.read(dir.resolve("config.json")).put("pad_token_id", 7);
    Files.writeString(dir.resolve("config.json"), Json.text(config));
    Files.writeString(
        dir.resolve("generation_config.json"),
        "{\"do_sample\": false, \"temperature\": 0.6, \"eos_token_id\": [2, 3],"
            + " \"transformers_version\": \"4.40\"}");
    Files.writeString(dir.resolve("LICENSE.txt"), "Be kind.\n");
    Files.writeString(dir.resolve("README.md"), "# A model\n");
    Files.writeString(dir.resolve("USE_POLICY.md"), "No harm.\n");
    Files.writeString(dir.resolve("notes.txt"), "not carried\n");
    Files.createDirectory(dir.resolve("license"));
    return dir;
  }

  private static void assertCarried(Path dir) throws IOException {
    ObjectNode generation = Json.read(dir.resolve("generation_config.json"));
    assertFalse(generation.path("do_sample").asBoolean(true), generation.toString());
    assertEquals(0.6, generation.path("temperature").asDouble());
    assertEquals("4.40", generation.path("transformers_version").asText());
    assertEquals("[2,3]", generation.path("eos_token_id").toString());
    assertEquals(1, generation.path("bos_token_id").asInt());
    assertTexts(dir);
  }

  private static void assertTexts(Path dir) throws IOException {
    assertEquals(7, Json.read(dir.resolve("config.json")).path("pad_token_id").asInt());
    assertEquals("Be kind.\n", Files.readString(dir.resolve("LICENSE.txt")));
    assertEquals("# A model\n", Files.readString(dir.resolve("README.md")));
    assertEquals("No harm.\n", Files.readString(dir.resolve("USE_POLICY.md")));
    assertFalse(Files.exists(dir.resolve("notes.txt")));
    assertFalse(Files.exists(dir.resolve("license")));
  }

  @Test
  void aPublishedPolicyTakesThemOverAndHandsThemOn() throws Exception {
    Path published = write("v1", CheckpointKind.POLICY, CarriedFiles.read(initial()));
    assertCarried(published);
    assertEquals(CONFIG, CheckpointOutline.read(published).config());
    Path next = write("v2", CheckpointKind.POLICY, CarriedFiles.read(published));
    for (String file : List.of("config.json", "generation_config.json", "LICENSE.txt")) {
      assertArrayEquals(
          Files.readAllBytes(published.resolve(file)),
          Files.readAllBytes(next.resolve(file)),
          file);
    }
    Path exported = temp.resolve("exported");
    try (CheckpointDirectory directory = CheckpointDirectory.open(published)) {
      directory.export(exported, CarriedFilesTest::writeTokenizer, DType.BF16, 1 << 20);
    }
    assertCarried(exported);
  }

  @Test
  void aRewardModelHasLicenceAndReadmeToo() throws Exception {
    assertTexts(write("rm", CheckpointKind.REWARD_MODEL, CarriedFiles.read(initial())));
  }

  @Test
  void withoutThemTheFilesAreAsBefore() throws Exception {
    Path plain = write("plain", CheckpointKind.POLICY, CarriedFiles.none());
    Path same = write("same", CheckpointKind.POLICY, CarriedFiles.read(plain));
    for (String file : List.of("config.json", "generation_config.json")) {
      assertArrayEquals(
          Files.readAllBytes(plain.resolve(file)), Files.readAllBytes(same.resolve(file)), file);
    }
  }

  @Test
  void aLicenceOfAGigabyteIsRefused() throws Exception {
    Path dir = initial();
    Files.write(dir.resolve("LICENSE.txt"), new byte[(1 << 20) + 1]);
    var e = assertThrows(CheckpointException.class, () -> CarriedFiles.read(dir));
    assertTrue(e.getMessage().contains("has more than 1048576 bytes"), e.getMessage());
  }
}
