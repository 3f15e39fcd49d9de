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
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoint directories: round trips, verification, and directories of other origin. */
class CheckpointDirectoryTest {
  private static final LlamaConfig UNTIED = config(false);
  private static final LlamaConfig TIED = config(true);

  @TempDir Path temp;

  private static LlamaConfig config(boolean tied) {
    return LlamaConfig.builder()
        .vocabSize(20)
        .hiddenSize(8)
        .layers(2)
        .heads(4)
        .kvHeads(2)
        .headDim(4)
        .ffnSize(12)
        .maxPositions(32)
        .tiedHead(tied)
        .bosToken(1)
        .eosToken(2)
        .build();
  }

  private static CheckpointManifest description(CheckpointKind kind) {
    return CheckpointManifest.describing(kind, "demo", 3)
        .parent(2L)
        .iteration(5)
        .step(40)
        .records(Map.of("rollouts", 64L))
        .metrics(Map.of("kl", 0.125))
        .build();
  }

  private static Map<String, TensorSource> weights(CheckpointKind kind, LlamaConfig config) {
    Random random = new Random(7);
    Map<String, TensorSource> weights = new TreeMap<>();
    for (ParameterSpec spec : kind.parameters(config)) {
      float[] values = new float[Math.toIntExact(spec.elementCount())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      weights.put(spec.name(), TensorSource.of(spec.shape(), values));
    }
    return weights;
  }

  private static void writeTokenizer(Path dir) throws IOException {
    Files.writeString(dir.resolve("tokenizer.json"), "{}");
    Files.writeString(dir.resolve("tokenizer_config.json"), "{\"a\": 1}");
  }

  private Path written(String name, CheckpointKind kind, LlamaConfig config, long maxFileBytes) {
    Path dir = temp.resolve(name);
    String digest =
        CheckpointDirectory.write(
            dir,
            config,
            weights(kind, config),
            CheckpointDirectoryTest::writeTokenizer,
            description(kind),
            maxFileBytes);
    assertEquals(CheckpointDirectory.manifestDigest(dir), digest);
    return dir;
  }

  private Path policy(String name) {
    return written(name, CheckpointKind.POLICY, UNTIED, 1 << 20);
  }

  private static List<String> list(Path dir) throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static void assertHolds(Path dir, CheckpointKind kind, LlamaConfig config) {
    try (CheckpointDirectory opened = CheckpointDirectory.open(dir)) {
      assertEquals(config, opened.config());
      assertEquals(kind, opened.kind());
      weights(kind, config)
          .forEach(
              (name, source) -> {
                float[] expected = new float[(int) TensorSource.elementCount(source.shape())];
                source.read(0, expected, expected.length);
                assertArrayEquals(expected, opened.tensors().readFloats(name), name);
              });
    }
    VerifyReport report = CheckpointDirectory.verify(dir);
    assertEquals(List.of(), report.problems());
    assertTrue(report.isSound());
    assertEquals(
        kind.parameters(config).stream().mapToLong(ParameterSpec::elementCount).sum(),
        report.parameters());
  }

  private static void assertUnsound(Path dir, String inProblem) {
    VerifyReport report = CheckpointDirectory.verify(dir);
    assertFalse(report.isSound());
    assertTrue(
        report.problems().stream().anyMatch(problem -> problem.contains(inProblem)),
        report.problems().toString());
  }

  private static void assertRefused(Path dir, String... inMessage) {
    String message =
        assertThrows(CheckpointException.class, () -> CheckpointDirectory.open(dir).close())
            .getMessage();
    for (String part : inMessage) {
      assertTrue(message.contains(part), message);
    }
  }

  @Test
  void policyRoundTrips() throws IOException {
    Path dir = policy("p");
    assertEquals(
        List.of(
            "config.json",
            "generation_config.json",
            "millrace.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"),
        list(dir));
    assertHolds(dir, CheckpointKind.POLICY, UNTIED);
    assertHolds(written("tied", CheckpointKind.POLICY, TIED, 1 << 20), CheckpointKind.POLICY, TIED);
    try (CheckpointDirectory opened = CheckpointDirectory.open(dir)) {
      CheckpointManifest manifest = opened.manifest().orElseThrow();
      assertEquals(5, manifest.files().size());
      assertEquals(description(CheckpointKind.POLICY).withFiles(manifest.files()), manifest);
    }
  }

  @Test
  void rewardModelRoundTrips() throws IOException {
    for (LlamaConfig config : List.of(UNTIED, TIED)) {
      Path dir = written("r" + config.tiedHead(), CheckpointKind.REWARD_MODEL, config, 1 << 20);
      assertHolds(dir, CheckpointKind.REWARD_MODEL, config);
      String text = Files.readString(dir.resolve("config.json"));
      assertTrue(text.contains("LlamaForSequenceClassification"), text);
      assertTrue(text.contains("\"num_labels\" : 1"), text);
    }
  }

  @Test
  void anEnsembleRoundTripsAndAClassifierIsRefused() throws IOException {
    LlamaConfig config = UNTIED.withScoreHeads(3);
    Path dir = written("ensemble", CheckpointKind.REWARD_MODEL, config, 1 << 20);
    assertHolds(dir, CheckpointKind.REWARD_MODEL, config);
    try (CheckpointDirectory opened = CheckpointDirectory.open(dir)) {
      assertEquals(3, opened.config().scoreHeads());
      assertArrayEquals(
          new long[] {3, UNTIED.hiddenSize()}, opened.tensors().info(LlamaConfig.SCORE).shape());
    }
    assertTrue(
        CheckpointDirectory.inspect(dir).stream()
            .anyMatch(line -> line.matches("scalar heads +3")));
    Path file = dir.resolve("config.json");
    String text = Files.readString(file);
    assertTrue(text.contains("\"num_labels\" : 3"), text);
    // Of any other origin three labels are classes.
    Files.writeString(file, text.replaceAll("  \"millrace_score_heads\" : 3,\n", ""));
    assertRefused(dir, "config.json", "num_labels is 3 but must be 1 for a reward model");
    Files.writeString(file, text.replace("heads\" : 3", "heads\" : 4"));
    assertRefused(dir, "num_labels is 3 but must be 4");
    Files.writeString(file, text);
    Path manifest = dir.resolve("millrace.json");
    String described = Files.readString(manifest);
    Files.writeString(
        manifest,
        described.replace(
            "\"files\"",
            "\"scores\": {\"anchors\": 2, \"pivot\": 0, \"value\": 0, \"below\": 1, \"above\": 1,"
                + " \"headOffsets\": [1, -1]}, \"files\""));
    assertRefused(dir, "headOffsets has 2 numbers but config.json describes 3 scalar heads");
  }

  @Test
  void shardsRoundTripWithAnIndex() throws IOException {
    Path dir = written("s", CheckpointKind.POLICY, UNTIED, 1_000);
    assertHolds(dir, CheckpointKind.POLICY, UNTIED);
    List<String> shards = list(dir).stream().filter(name -> name.endsWith(".safetensors")).toList();
    assertTrue(shards.size() > 2, shards.toString());
    assertEquals("model-00001-of-%05d.safetensors".formatted(shards.size()), shards.getFirst());
    for (String shard : shards) {
      try (Safetensors file = Safetensors.open(dir.resolve(shard))) {
        long bytes = file.names().stream().mapToLong(name -> file.info(name).byteCount()).sum();
        assertTrue(bytes <= 1_000 || file.names().size() == 1, shard + ": " + bytes);
      }
    }
    assertTrue(
        Files.readString(dir.resolve("model.safetensors.index.json"))
            .contains("\"total_size\" : " + UNTIED.parameterCount() * 4));
  }

  @Test
  void theSameCheckpointHasTheSameBytes() throws IOException {
    Path first = policy("one");
    Path second = policy("two");
    for (String name : list(first)) {
      assertEquals(-1, Files.mismatch(first.resolve(name), second.resolve(name)), name);
    }
  }

  @Test
  void verifyFindsAFlippedBitInAnyFile() throws IOException {
    Path dir = policy("p");
    Random random = new Random(11);
    for (String name : list(dir)) {
      Path file = dir.resolve(name);
      byte[] good = Files.readAllBytes(file);
      if (name.equals(CheckpointManifest.FILE_NAME)) {
        continue; // the digest in the announcement protects the manifest
      }
      for (int trial = 0; trial < 5; trial++) {
        byte[] bad = good.clone();
        bad[random.nextInt(bad.length)] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, bad);
        assertUnsound(dir, name + " has SHA-256");
      }
      Files.write(file, good);
    }
    assertTrue(CheckpointDirectory.verify(dir).isSound());
  }

  @Test
  void verifyFindsMissingUnlistedAndResizedFiles() throws IOException {
    Path dir = policy("p");
    Files.writeString(dir.resolve("extra.bin"), "x");
    Files.delete(dir.resolve("tokenizer.json"));
    Files.writeString(dir.resolve("tokenizer_config.json"), "{}");
    assertUnsound(dir, "extra.bin is not listed");
    assertUnsound(dir, "tokenizer.json is listed in the manifest but missing");
    assertUnsound(dir, "tokenizer_config.json has 2 bytes");
  }

  @Test
  void opensAPlainHuggingFaceDirectory() throws IOException {
    Path dir = policy("p");
    Files.delete(dir.resolve("millrace.json"));
    assertHolds(dir, CheckpointKind.POLICY, UNTIED);
    assertFalse(CheckpointDirectory.verify(dir).hasManifest());
  }

  /** Writes a directory without a manifest, like one of other origin. */
  private Path foreign(String name, LlamaConfig config, Map<String, ? extends TensorSource> weights)
      throws IOException {
    Path dir = Files.createDirectory(temp.resolve(name));
    Files.writeString(dir.resolve("config.json"), config.toJson());
    Safetensors.write(dir.resolve("model.safetensors"), weights, Map.of());
    return dir;
  }

  @Test
  void namesMissingAndUnknownParametersWithTheNearest() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, UNTIED);
    weights.put("model.norm.wieght", weights.remove("model.norm.weight"));
    Path dir = foreign("misspelt", UNTIED, weights);
    assertRefused(
        dir,
        "missing parameter 'model.norm.weight' (nearest: 'model.norm.wieght')",
        "unknown tensor 'model.norm.wieght' (nearest: 'model.norm.weight')");
    assertUnsound(dir, "missing parameter 'model.norm.weight'");
  }

  @Test
  void namesAWrongShape() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, UNTIED);
    weights.put("model.norm.weight", TensorSource.of(new int[] {2, 4}, new float[8]));
    assertRefused(
        foreign("shape", UNTIED, weights),
        "'model.norm.weight' has shape [2, 4] but the config needs [8]");
  }

  @Test
  void rotaryFrequenciesOfOldConvertersAreIgnored() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, UNTIED);
    weights.put(
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        TensorSource.of(new int[] {2}, new float[2]));
    assertHolds(foreign("old", UNTIED, weights), CheckpointKind.POLICY, UNTIED);
  }

  @Test
  void tiedHeadMayBeRepeatedButNotDiffer() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, TIED);
    weights.put("lm_head.weight", weights.get("model.embed_tokens.weight"));
    assertHolds(foreign("equal", TIED, weights), CheckpointKind.POLICY, TIED);
    weights.put("lm_head.weight", weights(CheckpointKind.POLICY, UNTIED).get("lm_head.weight"));
    assertRefused(foreign("differs", TIED, weights), "tie_word_embeddings is true");
  }

  /** As some converters write it: the embedding in bfloat16, the repeated head in float32. */
  @Test
  void tiedHeadMayBeRepeatedInAnotherType() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, TIED);
    int[] shape = weights.get("model.embed_tokens.weight").shape();
    float[] values = new float[shape[0] * shape[1]];
    for (int i = 0; i < values.length; i++) {
      values[i] = 0.5f * (i % 7) - 1;
    }
    Map<String, TensorSource> embedding =
        Map.of("model.embed_tokens.weight", TensorSource.of(shape, values));
    weights.remove("model.embed_tokens.weight");
    weights.put("lm_head.weight", TensorSource.of(shape, values));
    Path dir = foreign("types", TIED, weights);
    Files.move(dir.resolve("model.safetensors"), dir.resolve("rest.safetensors"));
    new SafetensorsWriter(dir.resolve("embedding.safetensors"), DType.BF16)
        .write(embedding, Map.of());
    ObjectNode index = Json.object();
    ObjectNode map = index.putObject("weight_map");
    weights.keySet().forEach(name -> map.put(name, "rest.safetensors"));
    map.put("model.embed_tokens.weight", "embedding.safetensors");
    Files.writeString(dir.resolve("model.safetensors.index.json"), Json.text(index));
    CheckpointDirectory.open(dir).close();

    values[5] += 1;
    Files.delete(dir.resolve("embedding.safetensors"));
    new SafetensorsWriter(dir.resolve("embedding.safetensors"), DType.BF16)
        .write(Map.of("model.embed_tokens.weight", TensorSource.of(shape, values)), Map.of());
    assertRefused(dir, "tie_word_embeddings is true");
  }

  @Test
  void verifyFindsValuesThatAreNotFinite() throws IOException {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, UNTIED);
    float[] gains = {1, 1, 1, Float.NEGATIVE_INFINITY, 1, 1, 1, 1};
    weights.put("model.norm.weight", TensorSource.of(new int[] {8}, gains));
    assertUnsound(
        foreign("infinite", UNTIED, weights), "'model.norm.weight' holds -Infinity at element 3");
  }

  @Test
  void refusesToWriteWeightsThatAreIncompleteOrNotFinite() {
    Map<String, TensorSource> weights = weights(CheckpointKind.POLICY, UNTIED);
    weights.put(
        "model.norm.weight",
        TensorSource.of(new int[] {8}, new float[] {1, 1, 1, 1, 1, Float.NaN, 1, 1}));
    Path dir = temp.resolve("nan");
    assertNotWritten(dir, weights, "element 5 is NaN");
    assertFalse(Files.exists(dir.resolve("millrace.json")));
    weights.remove("model.norm.weight");
    assertNotWritten(temp.resolve("missing"), weights, "missing parameter 'model.norm.weight'");
    weights.put("model.norm.weight", TensorSource.of(new int[] {7}, new float[7]));
    assertNotWritten(temp.resolve("shape"), weights, "has shape [7]");
  }

  @Test
  void writesOnlyToNewDirectories() {
    Path dir = policy("p");
    assertNotWritten(dir, weights(CheckpointKind.POLICY, UNTIED), "is not empty");
    assertTrue(CheckpointDirectory.verify(dir).isSound());
  }

  private static void assertNotWritten(
      Path dir, Map<String, TensorSource> weights, String inMessage) {
    CheckpointException e =
        assertThrows(
            CheckpointException.class,
            () ->
                CheckpointDirectory.write(
                    dir,
                    UNTIED,
                    weights,
                    CheckpointDirectoryTest::writeTokenizer,
                    description(CheckpointKind.POLICY)));
    assertTrue(e.getMessage().contains(inMessage), e.getMessage());
  }

  @Test
  void refusesAHostileIndex() throws IOException {
    for (String fileName :
        List.of(
            "../p/model.safetensors",
            "/etc/x.safetensors",
            "a/b.safetensors",
            "..",
            "a\\\\b.safetensors",
            "pytorch_model.bin",
            "")) {
      Path dir = Files.createTempDirectory(temp, "index");
      Files.writeString(dir.resolve("config.json"), UNTIED.toJson());
      Files.writeString(
          dir.resolve("model.safetensors.index.json"),
          "{\"weight_map\": {\"lm_head.weight\": \"" + fileName + "\"}}");
      assertRefused(dir, "lm_head.weight", "plain name");
    }
  }

  @Test
  void refusesAnIndexThatDisagreesWithItsFiles() throws IOException {
    Path dir = written("s", CheckpointKind.POLICY, UNTIED, 1_000);
    Path index = dir.resolve("model.safetensors.index.json");
    String good = Files.readString(index);
    Files.writeString(index, good.replace("lm_head.weight", "lm_tail.weight"));
    assertRefused(dir, "lm_tail.weight", "which the index names for it");
    Files.writeString(index, good.replaceFirst("\"model.embed_tokens.weight\"[^,]*,", ""));
    assertRefused(dir, "the index names no file for it");
    Files.writeString(index, "{\"weight_map\": " + "[".repeat(10_000));
    assertRefused(dir, "nesting depth");
    Files.writeString(index, "{\"weight_map\": {}}");
    assertRefused(dir, "weight_map must be");
    Files.writeString(index, good);
    Files.delete(
        dir.resolve(list(dir).stream().filter(n -> n.startsWith("model-")).toList().get(1)));
    assertRefused(dir, "no such file");
  }

  @Test
  void namesWhatADirectoryLacks() throws IOException {
    assertRefused(temp.resolve("none"), "no such directory");
    Path dir = Files.createDirectory(temp.resolve("empty"));
    assertRefused(dir, "config.json", "no such file");
    Files.writeString(dir.resolve("config.json"), UNTIED.toJson());
    assertRefused(dir, "neither model.safetensors nor");
    Files.writeString(dir.resolve("config.json"), UNTIED.toJson().replace("silu", "relu"));
    assertRefused(dir, "config.json: hidden_act is relu");
    Files.writeString(
        dir.resolve("config.json"),
        UNTIED.toJson().replace("LlamaForCausalLM", "LlamaForSequenceClassification"));
    assertRefused(dir, "num_labels is 2");
    assertUnsound(dir, "num_labels is 2");
  }

  @Test
  void inspectListsTheContent() {
    String text = String.join("\n", CheckpointDirectory.inspect(policy("p")));
    for (String part :
        List.of(
            "POLICY (LlamaForCausalLM)",
            "3, from 2",
            "64 rollouts",
            "kl = 0.125",
            String.format(Locale.ROOT, "%,d", UNTIED.parameterCount()),
            "21: 21 of F32",
            "model.layers.0.self_attn.k_proj.weight F32[8, 8]")) {
      assertTrue(text.contains(part), part + " not in:\n" + text);
    }
  }
}
