package io.millrace.model.llama;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.tensor.RopeScaling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Reading and writing {@code config.json} and {@code generation_config.json}, and the parameters
 * that a configuration implies.
 */
class LlamaConfigTest {
  private static final LlamaConfig UNTIED =
      LlamaConfig.builder()
          .vocabSize(64)
          .hiddenSize(16)
          .layers(2)
          .heads(4)
          .kvHeads(2)
          .headDim(6)
          .ffnSize(40)
          .maxPositions(128)
          .ropeTheta(500_000.0)
          .bosToken(1)
          .eosToken(2)
          .build();

  /** The keys of transformers 4.31 and later; %s stands for further keys. */
  private static final String VERSION_4 =
      """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
       "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
       "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "torch_dtype": "float16"%s}
      """;

  @TempDir Path dir;

  private static LlamaConfig parse(String furtherKeys) {
    return LlamaConfig.fromJson(VERSION_4.formatted(furtherKeys));
  }

  @Test
  void readsItsOwnFiles() throws IOException {
    LlamaConfig tied =
        LlamaConfig.builder()
            .vocabSize(9)
            .hiddenSize(8)
            .layers(1)
            .heads(2)
            .kvHeads(1)
            .headDim(4)
            .ffnSize(5)
            .maxPositions(7)
            .rmsNormEps(1e-6f)
            .tiedHead(true)
            .bosToken(-1)
            .eosToken(8)
            .build();
    for (LlamaConfig config :
        List.of(
            UNTIED,
            tied,
            scaled(new RopeScaling.Linear(2.5)),
            scaled(new RopeScaling.Llama3(8, 1, 4, 8192)))) {
      Path file = Files.writeString(dir.resolve("config.json"), config.toJson());
      assertEquals(config, LlamaConfig.fromJson(file));
    }
    assertTrue(UNTIED.toJson().contains("\"rope_scaling\" : null"));
  }

  @Test
  void readsVersion4() {
    LlamaConfig config =
        parse(
            """
            , "rope_theta": 500000.0, "rope_scaling": null, "attention_bias": false,
            "bos_token_id": 5, "eos_token_id": [7, 8], "tie_word_embeddings": true
            """);
    assertEquals(
        LlamaConfig.builder()
            .vocabSize(32000)
            .hiddenSize(4096)
            .layers(32)
            .heads(32)
            .kvHeads(8)
            .headDim(128)
            .ffnSize(11008)
            .maxPositions(4096)
            .ropeTheta(500_000.0)
            .tiedHead(true)
            .bosToken(5)
            .eosToken(7)
            .build()
            .withTokens(5, List.of(7, 8)),
        config);
    assertEquals(config, LlamaConfig.fromJson(config.toJson()));
  }

  @Test
  void readsVersion5() {
    LlamaConfig config =
        parse(
            """
            , "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
            "dtype": "bfloat16", "head_dim": 64, "eos_token_id": 7, "bos_token_id": null
            """);
    assertEquals(1e6, config.ropeTheta());
    assertEquals(64, config.headDim());
    assertEquals(List.of(7), config.eosTokens());
    assertEquals(LlamaConfig.NO_TOKEN, config.bosToken());
  }

  private static LlamaConfig scaled(RopeScaling scaling) {
    return LlamaConfig.builder()
        .vocabSize(9)
        .hiddenSize(8)
        .layers(1)
        .heads(2)
        .kvHeads(1)
        .headDim(4)
        .ffnSize(5)
        .maxPositions(7)
        .rmsNormEps(1e-6f)
        .ropeScaling(scaling)
        .tiedHead(true)
        .bosToken(-1)
        .eosTokens(List.of(8))
        .build();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}",
        "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4.0}",
        "\"rope_scaling\": {\"type\": \"linear\", \"rope_type\": \"linear\", \"factor\": 4.0}",
        "\"rope_parameters\": {\"rope_type\": \"linear\", \"rope_theta\": 1e4, \"factor\": 4.0}",
      })
  void readsLinearScalingInEverySpelling(String keys) {
    assertEquals(new RopeScaling.Linear(4), parse(", " + keys).ropeScaling());
  }

  @ParameterizedTest
  @ValueSource(strings = {"rope_scaling", "rope_parameters"})
  void readsLlama3Scaling(String key) {
    LlamaConfig config =
        parse(
            """
            , "%s": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
              "original_max_position_embeddings": 8192, "rope_type": "llama3"}
            """
                .formatted(key));
    assertEquals(new RopeScaling.Llama3(32, 1, 4, 8192), config.ropeScaling());
    assertEquals(config.ropeScaling(), config.rope().scaling());
  }

  @Test
  void absentKeysGetTransformersDefaults() {
    LlamaConfig config =
        LlamaConfig.fromJson(
            """
            {"vocab_size": 10, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 2}
            """);
    assertEquals(
        LlamaConfig.builder()
            .vocabSize(10)
            .hiddenSize(8)
            .layers(1)
            .heads(2)
            .kvHeads(2)
            .headDim(4)
            .ffnSize(8)
            .maxPositions(2048)
            .rmsNormEps(1e-6f)
            .bosToken(1)
            .eosToken(2)
            .build(),
        config);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8} | low_freq_factor is absent",
        "\"rope_scaling\": {\"type\": \"linear\"} | rope_scaling.factor is absent",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0} | factor is 0.0",
        "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0} | rope_type is dynamic",
        "\"rope_scaling\": {\"rope_type\": \"longrope\"} | rope_type is longrope",
        "\"rope_scaling\": {\"type\": \"yarn\", \"rope_type\": \"linear\"} | type, which is yarn",
        "\"rope_scaling\": {\"type\": \"default\"}, \"rope_parameters\": {\"factor\": 2} | absent",
        "\"rope_scaling\": {\"factor\": 2.0} | rope_scaling.rope_type",
        "\"rope_parameters\": {\"rope_type\": \"yarn\"} | rope_parameters.rope_type is yarn",
        "\"rope_parameters\": {\"rope_theta\": 5.0}, \"rope_theta\": 6.0 | rope_theta is 6.0",
        "\"rope_parameters\": {\"partial_rotary_factor\": 0.5} | partial_rotary_factor is 0.5",
        "\"rope_parameters\": {\"full\": {\"rope_theta\": 5.0}} | one setting for all layers",
        "\"attention_bias\": true | attention_bias",
        "\"sliding_window\": 4096 | sliding_window is 4096",
        "\"layer_types\": [\"full_attention\", \"sliding_attention\"] | sliding_attention",
        "\"partial_rotary_factor\": 0.5 | partial_rotary_factor is 0.5",
        "\"eos_token_id\": [1, \"x\"] | eos_token_id is \"x\"",
        "\"mlp_bias\": true | mlp_bias",
        "\"quantization_config\": {\"bits\": 4} | quantization_config",
        "\"head_dim\": 5 | headDim is 5",
        "\"head_dim\": \"x\" | head_dim is \"x\"",
        "\"eos_token_id\": 32000 | eosToken is 32000",
        "\"rope_theta\": -1 | ropeTheta is -1.0",
        "\"hidden_size\": 4096 | Duplicate",
      })
  void refusalsNameTheKey(String keys, String inMessage) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> parse(", " + keys)).getMessage();
    assertTrue(message.contains(inMessage), message);
  }

  @ParameterizedTest
  @CsvSource({
    "LlamaForCausalLM, MistralForCausalLM, MistralForCausalLM",
    "'\"model_type\": \"llama\"', '\"model_type\": \"gemma\"', model_type is gemma",
    "silu, gelu, hidden_act is gelu",
    "'\"num_key_value_heads\": 8', '\"num_key_value_heads\": 5', kvHeads is 5",
    "'\"vocab_size\": 32000', '\"vocab_size\": 0', vocab_size is 0",
    "'\"vocab_size\": 32000', '\"vocab_size\": 9999999999', vocab_size is 9999999999",
    "'\"vocab_size\": 32000,', '', vocab_size is absent",
    "'\"num_hidden_layers\": 32', '\"num_hidden_layers\": 2000000000', layers is 2000000000",
    "'\"num_attention_heads\": 32', '\"num_attention_heads\": 31', hidden_size is 4096",
  })
  void refusalsNameTheFileAndTheKey(String from, String to, String inMessage) throws IOException {
    Path file = dir.resolve("config.json");
    Files.writeString(file, VERSION_4.formatted("").replace(from, to));
    String message =
        assertThrows(IllegalArgumentException.class, () -> LlamaConfig.fromJson(file)).getMessage();
    assertTrue(message.contains(inMessage), message);
    assertTrue(message.startsWith(file.toString()), message);
  }

  @Test
  void refusesTextThatIsNoJsonObject() {
    for (String text : List.of("", "[]", "{", "{} {}", "[".repeat(100_000))) {
      assertThrows(IllegalArgumentException.class, () -> LlamaConfig.fromJson(text));
    }
  }

  @Test
  void listsParametersInHuggingFaceLayout() {
    List<ParameterSpec> specs = UNTIED.parameters();
    assertEquals(2 * 9 + 3, specs.size());
    assertShape(specs, "model.embed_tokens.weight", 64, 16);
    assertShape(specs, "model.layers.1.self_attn.q_proj.weight", 24, 16);
    assertShape(specs, "model.layers.1.self_attn.k_proj.weight", 12, 16);
    assertShape(specs, "model.layers.0.self_attn.v_proj.weight", 12, 16);
    assertShape(specs, "model.layers.0.self_attn.o_proj.weight", 16, 24);
    assertShape(specs, "model.layers.0.mlp.gate_proj.weight", 40, 16);
    assertShape(specs, "model.layers.0.mlp.up_proj.weight", 40, 16);
    assertShape(specs, "model.layers.0.mlp.down_proj.weight", 16, 40);
    assertShape(specs, "model.layers.0.post_attention_layernorm.weight", 16);
    assertShape(specs, "model.norm.weight", 16);
    assertShape(specs, "lm_head.weight", 64, 16);
    for (ParameterSpec spec : specs) {
      assertEquals(spec.name().contains("norm"), !spec.decay(), spec.name());
    }
    assertEquals(specs.subList(0, specs.size() - 1), UNTIED.trunkParameters());
    assertShape(UNTIED.scalarParameters(), "score.weight", 1, 16);
  }

  /** Settings that change no computation, or that equal a default, are accepted. */
  @Test
  void acceptsSettingsWithoutEffect() {
    LlamaConfig plain = parse("");
    assertEquals(
        plain,
        parse(
            """
            , "pretraining_tp": 2, "use_sliding_window": false, "sliding_window": 4096,
            "layer_types": ["full_attention"], "attention_dropout": 0.1, "use_cache": false,
            "rope_scaling": {"rope_type": "default"}, "quantization_config": null
            """));
  }

  @Test
  void generationConfigNamesTheTokensThatEndAResponse() throws IOException {
    LlamaConfig config = parse("");
    Path file = dir.resolve("generation_config.json");
    Files.writeString(file, "{\"eos_token_id\": [9, 7, 9], \"temperature\": 0.6}");
    assertEquals(config.withTokens(1, List.of(9, 7)), config.withGenerationConfig(file));
    Files.writeString(file, config.withTokens(3, List.of(4)).toGenerationJson());
    assertEquals(config.withTokens(3, List.of(4)), config.withGenerationConfig(file));
    Files.writeString(file, "{}");
    assertEquals(config, config.withGenerationConfig(file));
    Files.writeString(file, "{\"eos_token_id\": 32000}");
    String message =
        assertThrows(IllegalArgumentException.class, () -> config.withGenerationConfig(file))
            .getMessage();
    assertTrue(message.startsWith(file.toString()), message);
    assertTrue(message.contains("eosToken is 32000"), message);
  }

  @Test
  void tiedHeadIsNotAParameter() {
    LlamaConfig tied =
        LlamaConfig.builder()
            .vocabSize(64)
            .hiddenSize(16)
            .layers(2)
            .heads(4)
            .kvHeads(2)
            .headDim(6)
            .ffnSize(40)
            .maxPositions(128)
            .tiedHead(true)
            .bosToken(1)
            .eosToken(2)
            .build();
    assertEquals(tied.trunkParameters(), tied.parameters());
    assertEquals(64 * 16, UNTIED.parameterCount() - tied.parameterCount());
  }

  /** Llama 2 7B has 6,738,415,616 parameters. */
  @Test
  void countsLlama2() {
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(32000)
            .hiddenSize(4096)
            .layers(32)
            .heads(32)
            .kvHeads(32)
            .headDim(128)
            .ffnSize(11008)
            .maxPositions(4096)
            .bosToken(1)
            .eosToken(2)
            .build();
    assertEquals(6_738_415_616L, config.parameterCount());
  }

  @Test
  void specsCompareByContentAndCopyTheirShape() {
    int[] shape = {2, 3};
    ParameterSpec spec = new ParameterSpec("a", shape, true);
    shape[0] = 9;
    spec.shape()[1] = 9;
    assertEquals(new ParameterSpec("a", new int[] {2, 3}, true), spec);
    assertFalse(spec.equals(new ParameterSpec("a", new int[] {3, 2}, true)));
    assertEquals(6, spec.elementCount());
  }

  private static void assertShape(List<ParameterSpec> specs, String name, int... shape) {
    ParameterSpec found =
        specs.stream().filter(spec -> spec.name().equals(name)).findFirst().orElseThrow();
    assertArrayEquals(shape, found.shape(), name);
  }

  @Test
  void everySetterSetsItsOwnProperty() {
    assertEquals(
        new LlamaConfig(
            90, 80, 7, 6, 3, 4, 20, 30, 1e-6f, 5e5, RopeScaling.NONE, true, 1, List.of(2, 3), 8),
        LlamaConfig.builder()
            .scoreHeads(8)
            .eosTokens(List.of(2, 3))
            .bosToken(1)
            .tiedHead(true)
            .ropeScaling(RopeScaling.NONE)
            .ropeTheta(5e5)
            .rmsNormEps(1e-6f)
            .maxPositions(30)
            .ffnSize(20)
            .headDim(4)
            .kvHeads(3)
            .heads(6)
            .layers(7)
            .hiddenSize(80)
            .vocabSize(90)
            .build());
    LlamaConfig.Builder incomplete = LlamaConfig.builder().vocabSize(9);
    assertThrows(IllegalArgumentException.class, incomplete::build);
  }
}
