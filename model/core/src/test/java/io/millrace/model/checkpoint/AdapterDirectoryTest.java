package io.millrace.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Directories of adapters, read back by their bytes as well, without Millrace's reader. */
class AdapterDirectoryTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(11)
          .hiddenSize(8)
          .layers(2)
          .heads(2)
          .kvHeads(1)
          .headDim(4)
          .ffnSize(12)
          .maxPositions(16)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();
  private static final AdapterConfig ADAPTER =
      new AdapterConfig(3, 6, List.of("down_proj", "q_proj"));

  @TempDir private Path directory;
  private Path base;
  private Map<String, float[]> baseValues;
  private Map<String, float[]> values;

  @BeforeEach
  void write() {
    baseValues = values(CONFIG.parameters(), 1);
    base = directory.resolve("base");
    CheckpointDirectory.write(
        base,
        CONFIG,
        sources(CONFIG.parameters(), baseValues),
        dir -> {},
        CheckpointManifest.describing(CheckpointKind.POLICY, "policy", 1).build());
    values = values(ADAPTER.scalarParameters(CONFIG), 2);
  }

  private static Map<String, float[]> values(List<ParameterSpec> specs, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Map<String, float[]> values = new LinkedHashMap<>();
    for (ParameterSpec spec : specs) {
      float[] one = new float[(int) spec.elementCount()];
      for (int i = 0; i < one.length; i++) {
        one[i] = (float) random.nextGaussian();
      }
      values.put(spec.name(), one);
    }
    return values;
  }

  private static Map<String, TensorSource> sources(
      List<ParameterSpec> specs, Map<String, float[]> values) {
    Map<String, TensorSource> sources = new LinkedHashMap<>();
    specs.forEach(
        spec -> sources.put(spec.name(), TensorSource.of(spec.shape(), values.get(spec.name()))));
    return sources;
  }

  private String digest() {
    try (CheckpointDirectory opened = CheckpointDirectory.open(base)) {
      return opened.weightsDigest();
    }
  }

  private Path adapter(String name, CheckpointKind kind, String baseDigest) {
    Path out = directory.resolve(name);
    List<ParameterSpec> specs =
        kind == CheckpointKind.POLICY
            ? ADAPTER.parameters(CONFIG)
            : ADAPTER.scalarParameters(CONFIG);
    CheckpointDirectory.writeAdapter(
        out,
        CONFIG,
        ADAPTER,
        sources(specs, values),
        dir -> {},
        CarriedFiles.none(),
        CheckpointManifest.describing(kind, "policy", 2)
            .base(Optional.of(new CheckpointManifest.Base(base.toString(), baseDigest)))
            .build());
    return out;
  }

  @Test
  void filesAreThoseOfPeft() throws Exception {
    Path out = adapter("adapter", CheckpointKind.POLICY, digest());
    JsonNode config = JSON.readTree(out.resolve("adapter_config.json").toFile());
    assertEquals("LORA", config.path("peft_type").asText());
    assertEquals("CAUSAL_LM", config.path("task_type").asText());
    assertEquals(3, config.path("r").asInt());
    assertTrue(config.path("lora_alpha").isInt());
    assertEquals(6, config.path("lora_alpha").asInt());
    assertEquals("[\"q_proj\",\"down_proj\"]", config.path("target_modules").toString());
    assertEquals(base.toString(), config.path("base_model_name_or_path").asText());
    // The safetensors format: 8 bytes of length, a JSON header, the data.
    byte[] file = Files.readAllBytes(out.resolve("adapter_model.safetensors"));
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int length = (int) bytes.getLong();
    JsonNode header = JSON.readTree(new String(file, 8, length, StandardCharsets.UTF_8));
    TreeSet<String> names = new TreeSet<>();
    header.fieldNames().forEachRemaining(names::add);
    names.remove("__metadata__");
    assertEquals(2 * 2 * 2, names.size());
    String name = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";
    JsonNode entry = header.path(name);
    assertEquals("[3,12]", entry.path("shape").toString());
    assertEquals("F32", entry.path("dtype").asText());
    float[] read = new float[36];
    bytes
        .position(8 + length + entry.path("data_offsets").path(0).asInt())
        .slice()
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(read);
    assertArrayEquals(values.get(name.substring("base_model.model.".length())), read);
  }

  @Test
  void aRewardModelHasItsHead() throws Exception {
    Path out = adapter("reward", CheckpointKind.REWARD_MODEL, digest());
    JsonNode config = JSON.readTree(out.resolve("adapter_config.json").toFile());
    assertEquals("SEQ_CLS", config.path("task_type").asText());
    assertEquals("[\"score\"]", config.path("modules_to_save").toString());
    assertTrue(CheckpointDirectory.verify(out).problems().isEmpty());
    try (CheckpointDirectory opened = CheckpointDirectory.open(out)) {
      assertEquals(CheckpointKind.REWARD_MODEL, opened.kind());
      assertEquals(new CheckpointAdapter(ADAPTER, base.toString()), opened.adapter().orElseThrow());
      assertArrayEquals(
          values.get(LlamaConfig.SCORE), opened.tensors().readFloats(LlamaConfig.SCORE));
    }
    assertTrue(
        CheckpointDirectory.inspect(out).stream()
            .anyMatch(line -> line.contains("rank 3, alpha 6.0, of q_proj, down_proj")));
  }

  @Test
  void mergedWeightsAreTheSum() {
    Path out = adapter("adapter", CheckpointKind.POLICY, digest());
    Path merged = directory.resolve("merged");
    try (CheckpointDirectory below = CheckpointDirectory.open(base);
        CheckpointDirectory opened = CheckpointDirectory.open(out)) {
      opened.exportMerged(merged, below, dir -> {}, DType.F32, 100);
    }
    try (CheckpointDirectory opened = CheckpointDirectory.open(merged)) {
      assertTrue(opened.adapter().isEmpty());
      for (ParameterSpec spec : CONFIG.parameters()) {
        float[] expected = baseValues.get(spec.name()).clone();
        String prefix = spec.name().replaceAll("weight$", "");
        float[] a = values.get(prefix + "lora_A.weight");
        if (a != null) {
          float[] b = values.get(prefix + "lora_B.weight");
          int in = spec.shape()[1];
          for (int i = 0; i < expected.length; i++) {
            double sum = 0;
            for (int k = 0; k < 3; k++) {
              sum += (double) b[i / in * 3 + k] * a[k * in + i % in];
            }
            expected[i] = (float) (expected[i] + 2 * sum);
          }
        }
        assertArrayEquals(expected, opened.tensors().readFloats(spec.name()), 1e-6f, spec.name());
      }
    }
  }

  @Test
  void anotherBaseIsRefused() {
    Path out = adapter("adapter", CheckpointKind.POLICY, "0".repeat(64));
    try (CheckpointDirectory below = CheckpointDirectory.open(base);
        CheckpointDirectory opened = CheckpointDirectory.open(out)) {
      String message =
          assertThrows(
                  CheckpointException.class,
                  () ->
                      opened.exportMerged(
                          directory.resolve("merged"), below, dir -> {}, DType.F32, 100))
              .getMessage();
      assertTrue(message.contains("was trained on other weights than those of " + base), message);
      message =
          assertThrows(
                  CheckpointException.class,
                  () -> opened.export(directory.resolve("plain"), dir -> {}, DType.F32, 100))
              .getMessage();
      assertTrue(message.contains("holds an adapter; export it merged"), message);
    }
  }

  @Test
  void otherKindsOfAdaptersAreRefusedByName() throws Exception {
    for (List<String> bad :
        List.of(
            List.of("peft_type", "\"ADALORA\""),
            List.of("use_dora", "true"),
            List.of("use_rslora", "true"),
            List.of("bias", "\"all\""),
            List.of("rank_pattern", "{\"q_proj\": 4}"),
            List.of("modules_to_save", "[\"lm_head\"]"),
            List.of("r", "0"),
            List.of("r", "1e9"),
            List.of("lora_alpha", "\"x\""),
            List.of("target_modules", "\"all-linear\""),
            List.of("target_modules", "[\"k_norm\"]"),
            List.of("base_model_name_or_path", "7"))) {
      Path out = adapter("adapter-" + bad.hashCode(), CheckpointKind.POLICY, digest());
      Path file = out.resolve("adapter_config.json");
      ObjectNode config = (ObjectNode) JSON.readTree(file.toFile());
      config.set(bad.getFirst(), JSON.readTree(bad.getLast()));
      Files.writeString(file, config.toString());
      String message =
          assertThrows(CheckpointException.class, () -> CheckpointDirectory.open(out)).getMessage();
      String name =
          bad.getFirst().equals("r") && bad.getLast().equals("0") ? "rank" : bad.getFirst();
      assertTrue(
          message.contains(name.equals("target_modules") ? "target" : name), bad + ": " + message);
    }
    Path out = adapter("no-config", CheckpointKind.POLICY, digest());
    Files.delete(out.resolve("config.json"));
    assertTrue(
        assertThrows(CheckpointException.class, () -> CheckpointDirectory.open(out))
            .getMessage()
            .contains("copy config.json and the tokenizer files of its base into it"));
  }

  @Test
  void digestsFollowTheWeightsAlone() throws Exception {
    String before = digest();
    Path copy = directory.resolve("copy");
    Files.createDirectories(copy);
    for (String name : Arrays.asList("config.json", "model.safetensors")) {
      Files.copy(base.resolve(name), copy.resolve(name));
    }
    try (CheckpointDirectory opened = CheckpointDirectory.open(copy)) {
      assertEquals(before, opened.weightsDigest(), "without a manifest the files are read");
    }
  }
}
