package io.millrace.tests.interoperability;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.checkpoint.Safetensors;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Log-probs and whole models' gradients against PyTorch's autograd. Skipped where no python3 has
 * PyTorch (Debian: {@code apt-get install python3-torch}).
 */
class PyTorchTest {

  private static final long SEED = 23;

  /** Relative to the largest of a tensor's elements. */
  private static final double TOLERANCE = 1e-4;

  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource({
    "CPU, 4, 2, 16, 192, true", //
    "CPU, 6, 3, 10, 52, false",
    "ND4J, 4, 1, 16, 40, true",
  })
  void gradientsAreThoseOfAutograd(
      String kind, int heads, int kvHeads, int headDim, int ffn, boolean tied) throws Exception {
    String python = python();
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(503)
            .hiddenSize(64)
            .layers(2)
            .heads(heads)
            .kvHeads(kvHeads)
            .headDim(headDim)
            .ffnSize(ffn)
            .maxPositions(128)
            .tiedHead(tied)
            .bosToken(1)
            .eosTokens(List.of(2))
            .build();
    Random random = new Random(SEED);
    List<int[]> sequences =
        IntStream.of(37, 1, 2, 70).mapToObj(n -> random.ints(n, 0, 503).toArray()).toList();
    Targets targets = Targets.all(sequences);
    float[] dLogProbs = new float[targets.count()];
    float[] dEntropies = new float[targets.count()];
    for (int i = 0; i < targets.count(); i++) {
      dLogProbs[i] = (float) Math.sin(i);
      dEntropies[i] = (float) Math.cos(i) / 10;
    }
    try (Backend backend = Backends.named(kind).open();
        LanguageModel model = LanguageModel.random(backend, config, SEED);
        Parameters gradients = Parameters.zeros(backend, config.parameters())) {
      spread(model.weights());
      Files.writeString(directory.resolve("config.json"), config.toJson());
      Safetensors.write(
          directory.resolve("model.safetensors"),
          ModelWeights.sources(model.weights()),
          Map.of("format", "pt"));
      double[] expected = run(python, sequences);

      float[] logProbs = model.forward(sequences, targets, 1).logProbs();
      model.backward(gradients, dLogProbs, dEntropies);

      assertEquals(expected.length, logProbs.length);
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], logProbs[i], TOLERANCE, "log-prob " + i + ", seed " + SEED);
      }
      try (Safetensors theirs = Safetensors.open(directory.resolve("gradients.safetensors"))) {
        assertEquals(theirs.names().size(), config.parameters().size());
        for (String name : theirs.names()) {
          assertClose(name, theirs.readFloats(name), gradients.get(name).toFloats());
        }
      }
    }
  }

  /** Larger weights than a new model's, so that attention and gates are far from uniform. */
  private static void spread(Parameters weights) {
    float[] values = weights.decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 8;
    }
    weights.decayed().write(values);
  }

  private static void assertClose(String name, float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length, name);
    double largest = 0;
    double difference = 0;
    for (int i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(expected[i]));
      difference = Math.max(difference, Math.abs(expected[i] - actual[i]));
    }
    assertTrue(largest > 0, name + " has no gradient");
    assertTrue(
        difference <= TOLERANCE * largest,
        "%s: off by %.2e of %.2e, seed %d".formatted(name, difference, largest, SEED));
  }

  private double[] run(String python, List<int[]> sequences)
      throws IOException, InterruptedException, URISyntaxException {
    ObjectMapper json = new ObjectMapper();
    Path script = Path.of(PyTorchTest.class.getResource("/pytorch_llama.py").toURI());
    Process process =
        new ProcessBuilder(
                python,
                script.toString(),
                directory.toString(),
                json.writeValueAsString(sequences),
                directory.resolve("gradients.safetensors").toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return json.readValue(said, double[].class);
  }

  /** A python3 that has PyTorch: the first of the path, or the system's. */
  private static String python() throws IOException, InterruptedException {
    for (String python : List.of("python3", "/usr/bin/python3")) {
      try {
        Process process =
            new ProcessBuilder(python, "-c", "import torch").redirectErrorStream(true).start();
        process.getInputStream().readAllBytes();
        if (process.waitFor() == 0) {
          return python;
        }
      } catch (IOException e) {
        // There is none of that name.
      }
    }
    assumeTrue(false, "no python3 here can import torch; on Debian: apt-get install python3-torch");
    throw new IllegalStateException("assumeTrue(false) throws");
  }
}
