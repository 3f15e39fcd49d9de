package io.millrace.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.RopeScaling;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Directories of other origin are read, exported and read again. Log-probabilities are compared
 * with float64.
 */
class InteroperabilityTest {
  private static final long SEED = 11;

  @TempDir Path temp;

  private static LlamaConfig config(
      int heads, int kvHeads, int headDim, boolean tied, RopeScaling scaling) {
    return LlamaConfig.builder()
        .vocabSize(103)
        .hiddenSize(20)
        .layers(2)
        .heads(heads)
        .kvHeads(kvHeads)
        .headDim(headDim)
        .ffnSize(28)
        .maxPositions(64)
        .ropeTheta(5000)
        .ropeScaling(scaling)
        .tiedHead(tied)
        .bosToken(1)
        .eosTokens(List.of(2))
        .build();
  }

  private ForeignDirectory directory(String name, LlamaConfig config, String dtype, int shards)
      throws IOException {
    return ForeignDirectory.write(temp.resolve(name), config, config.toJson(), dtype, shards, SEED);
  }

  private static int[] tokens() {
    return new Random(SEED).ints(40, 0, 103).toArray();
  }

  private static float[] logProbs(Path dir) {
    List<int[]> sequence = List.of(tokens());
    try (Backend backend = new CpuBackend();
        CheckpointDirectory checkpoint = CheckpointDirectory.open(dir);
        LanguageModel model = ModelWeights.languageModel(backend, checkpoint)) {
      return model.infer(sequence, Targets.all(sequence), 1).logProbs();
    }
  }

  private static void assertClose(double[] expected, float[] actual, double tolerance) {
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < actual.length; i++) {
      assertEquals(expected[i], actual[i], tolerance, "token " + (i + 1) + ", seed " + SEED);
    }
  }

  /** The rotary frequencies θ^(−2j/d), by definition. */
  private static double[] frequencies(LlamaConfig config) {
    double[] frequencies = new double[config.headDim() / 2];
    for (int j = 0; j < frequencies.length; j++) {
      frequencies[j] = 1 / Math.pow(config.ropeTheta(), 2.0 * j / config.headDim());
    }
    return frequencies;
  }

  @ParameterizedTest
  @CsvSource({
    "F32, 1, 4, 2, 6, false",
    "F32, 1, 4, 4, 6, true",
    "F16, 1, 5, 1, 4, false",
    "BF16, 1, 6, 3, 10, true",
    "BF16, 5, 4, 2, 2, false",
    "F16, 2, 4, 2, 6, true",
  })
  void logProbsMatchFloat64(
      String dtype, int shards, int heads, int kvHeads, int headDim, boolean tied)
      throws IOException {
    LlamaConfig config = config(heads, kvHeads, headDim, tied, RopeScaling.NONE);
    ForeignDirectory foreign = directory("m", config, dtype, shards);
    assertClose(foreign.logProbs(tokens(), frequencies(config)), logProbs(foreign.path()), 2e-5);
  }

  @Test
  void logProbsMatchFloat64WithScaledPositions() throws IOException {
    LlamaConfig linear = config(4, 2, 6, false, new RopeScaling.Linear(4));
    double[] frequencies = frequencies(linear);
    for (int j = 0; j < frequencies.length; j++) {
      frequencies[j] /= 4;
    }
    ForeignDirectory foreign = directory("linear", linear, "F32", 1);
    double[] expected = foreign.logProbs(tokens(), frequencies);
    assertClose(expected, logProbs(foreign.path()), 2e-5);

    // Over 32 positions the three frequencies make 5.1, 0.30 and 0.017 turns. The first is kept,
    // the second interpolated, the third divided.
    LlamaConfig llama3 = config(4, 2, 6, false, new RopeScaling.Llama3(8, 0.1, 4, 32));
    frequencies = frequencies(llama3);
    double share = (32 * frequencies[1] / (2 * Math.PI) - 0.1) / (4 - 0.1);
    frequencies[1] = (1 - share) * frequencies[1] / 8 + share * frequencies[1];
    frequencies[2] /= 8;
    foreign = directory("llama3", llama3, "F32", 1);
    double[] scaled = foreign.logProbs(tokens(), frequencies);
    assertClose(scaled, logProbs(foreign.path()), 2e-5);
    double[] unscaled = foreign.logProbs(tokens(), frequencies(llama3));
    double difference = 0;
    for (int i = 0; i < scaled.length; i++) {
      difference = Math.max(difference, Math.abs(scaled[i] - unscaled[i]));
    }
    assertTrue(difference > 1e-2, "the scaling must change the log-probs: " + difference);
  }

  @ParameterizedTest
  @CsvSource({"F32, 7fc00000, NaN", "F16, 7c007c00, Infinity", "BF16, ff80ff80, -Infinity"})
  void refusesWeightsThatAreNotFinite(String dtype, String bits, String shown) throws IOException {
    ForeignDirectory foreign = directory("m", config(4, 2, 6, false, RopeScaling.NONE), dtype, 1);
    Path file = foreign.path().resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(bytes.length - Integer.BYTES, Integer.parseUnsignedInt(bits, 16));
    Files.write(file, bytes);
    String message =
        assertThrows(CheckpointException.class, () -> logProbs(foreign.path())).getMessage();
    assertTrue(message.matches(".*: tensor '.*': element \\d+ is " + shown + ": .*"), message);
  }

  private static void writeTokenizer(Path dir) throws IOException {
    Files.writeString(dir.resolve("tokenizer.json"), "{}");
  }

  private static void export(Path from, Path to, DType dtype, long maxFileBytes) {
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(from)) {
      checkpoint.export(to, InteroperabilityTest::writeTokenizer, dtype, maxFileBytes);
    }
  }

  @Test
  void exportsToFloat32BitForBit() throws IOException {
    LlamaConfig config =
        config(4, 2, 6, true, new RopeScaling.Linear(2)).withTokens(1, List.of(2, 3));
    for (String dtype : List.of("F32", "F16", "BF16")) {
      ForeignDirectory foreign = directory("from-" + dtype, config, dtype, 3);
      Path out = temp.resolve("to/" + dtype);
      export(foreign.path(), out, DType.F32, Long.MAX_VALUE);
      assertEquals(
          List.of("config.json", "generation_config.json", "model.safetensors", "tokenizer.json"),
          names(out));
      try (CheckpointDirectory copy = CheckpointDirectory.open(out)) {
        assertEquals(config, copy.config());
        foreign
            .values()
            .forEach(
                (name, values) -> {
                  assertEquals(DType.F32, copy.tensors().info(name).dtype());
                  float[] read = copy.tensors().readFloats(name);
                  for (int i = 0; i < read.length; i++) {
                    assertEquals((float) values[i], read[i], name);
                  }
                });
      }
    }
  }

  @Test
  void exportsToBfloat16Shards() throws IOException {
    LlamaConfig config = config(4, 2, 6, false, RopeScaling.NONE);
    ForeignDirectory foreign = directory("from", config, "F32", 1);
    Path out = Files.createDirectory(temp.resolve("out"));
    export(foreign.path(), out, DType.BF16, 3000);
    assertTrue(
        Files.readString(out.resolve("config.json")).contains("\"torch_dtype\" : \"bfloat16\""));
    try (CheckpointDirectory copy = CheckpointDirectory.open(out)) {
      assertTrue(copy.tensors().files().size() > 2);
      for (Path file : copy.tensors().files()) {
        assertTrue(Files.size(file) < 103 * 20 * 2 + 2000, file + " " + Files.size(file));
      }
      foreign
          .values()
          .forEach(
              (name, values) -> {
                assertEquals(DType.BF16, copy.tensors().info(name).dtype());
                float[] read = copy.tensors().readFloats(name);
                for (int i = 0; i < read.length; i++) {
                  assertEquals(nearestBfloat16((float) values[i]), read[i], name);
                }
              });
    }
    // Exporting an export again changes nothing.
    export(out, temp.resolve("again"), DType.BF16, 3000);
    for (String name : names(out)) {
      assertEquals(
          -1, Files.mismatch(out.resolve(name), temp.resolve("again").resolve(name)), name);
    }
    float[] exact = logProbs(foreign.path());
    float[] rounded = logProbs(out);
    assertArrayEquals(exact, rounded, 0.2f);
  }

  /** The nearer of the two bfloat16 numbers around a value, and the even one of a tie. */
  private static float nearestBfloat16(float value) {
    int lower = Float.floatToIntBits(value) & 0xFFFF0000;
    float down = Float.intBitsToFloat(lower);
    float up = Float.intBitsToFloat(lower + 0x10000);
    double below = Math.abs((double) value - down);
    double above = Math.abs((double) up - value);
    if (below == above) {
      return (lower & 0x10000) == 0 ? down : up;
    }
    return below < above ? down : up;
  }

  @Test
  void bfloat16TiesGoToEven() {
    float[] values = {
      1f,
      Float.intBitsToFloat(0x3F808000),
      Float.intBitsToFloat(0x3F818000),
      Float.intBitsToFloat(0x3F808001),
      Float.intBitsToFloat(0xBF807FFF),
      -0f,
      Float.MIN_VALUE
    };
    int[] expected = {0x3F80, 0x3F80, 0x3F82, 0x3F81, 0xBF80, 0x8000, 0};
    Path file = temp.resolve("x.safetensors");
    TensorSource source = TensorSource.of(new int[] {values.length}, values);
    Safetensors.write(file, Map.of("w", source), DType.BF16, Map.of());
    try (Safetensors opened = Safetensors.open(file)) {
      float[] read = opened.readFloats("w");
      for (int i = 0; i < read.length; i++) {
        assertEquals(expected[i], Float.floatToRawIntBits(read[i]) >>> 16, "value " + i);
      }
    }
    TensorSource tooLarge = TensorSource.of(new int[] {1}, new float[] {Float.MAX_VALUE});
    var e =
        assertThrows(
            CheckpointException.class,
            () ->
                Safetensors.write(temp.resolve("y"), Map.of("w", tooLarge), DType.BF16, Map.of()));
    assertTrue(e.getMessage().contains("write it as F32"), e.getMessage());
  }

  @Test
  void exportOverwritesNothingAndLeavesNoPartialOutput() throws IOException {
    LlamaConfig config = config(4, 2, 6, false, RopeScaling.NONE);
    ForeignDirectory foreign = directory("from", config, "F32", 1);
    Path out = Files.createDirectory(temp.resolve("out"));
    Files.writeString(out.resolve("mine"), "x");
    assertThrows(
        CheckpointException.class, () -> export(foreign.path(), out, DType.F32, Long.MAX_VALUE));
    assertEquals(List.of("mine"), names(out));
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(foreign.path())) {
      assertThrows(
          CheckpointException.class,
          () ->
              checkpoint.export(
                  temp.resolve("new"),
                  dir -> {
                    throw new IOException("disk full");
                  },
                  DType.F32,
                  Long.MAX_VALUE));
    }
    assertEquals(List.of("from", "out"), names(temp));
  }

  @Test
  void namesAMissingShard() throws IOException {
    LlamaConfig config = config(4, 2, 6, false, RopeScaling.NONE);
    ForeignDirectory foreign = directory("m", config, "F32", 3);
    Files.delete(foreign.path().resolve("part-1-of-3.safetensors"));
    var e = assertThrows(CheckpointException.class, () -> CheckpointDirectory.open(foreign.path()));
    assertTrue(e.getMessage().contains("part-1-of-3.safetensors: no such file"), e.getMessage());
  }

  @Test
  void generationConfigOverridesTheEosTokens() throws IOException {
    LlamaConfig config = config(4, 2, 6, false, RopeScaling.NONE);
    ForeignDirectory foreign = directory("m", config, "F32", 1);
    Path generation = foreign.path().resolve("generation_config.json");
    Files.writeString(generation, "{\"eos_token_id\": [5, 9]}");
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(foreign.path())) {
      assertEquals(List.of(5, 9), checkpoint.config().eosTokens());
    }
    Files.writeString(generation, "{\"eos_token_id\": 103}");
    var e = assertThrows(CheckpointException.class, () -> CheckpointDirectory.open(foreign.path()));
    assertTrue(e.getMessage().startsWith(generation + ": eosToken is 103"), e.getMessage());
  }

  private static List<String> names(Path dir) throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return List.copyOf(new TreeSet<>(files.map(f -> f.getFileName().toString()).toList()));
    }
  }
}
