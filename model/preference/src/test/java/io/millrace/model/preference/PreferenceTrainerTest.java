package io.millrace.model.preference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.cpu.CpuBackend;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.preference.PreferenceSettings.Loss;
import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.PreferenceTrainer.Pair;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The trainer on a tiny model: it learns, in micro-batches too, and resumes bit for bit. */
class PreferenceTrainerTest {

  private static final long SEED = 11;
  private static final int STOP = 2;
  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(30)
          .hiddenSize(16)
          .layers(1)
          .heads(2)
          .kvHeads(1)
          .headDim(8)
          .ffnSize(24)
          .maxPositions(32)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(STOP)
          .build();

  private final Backend backend = new CpuBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private PreferenceTrainer trainer(Loss loss) {
    return new PreferenceTrainer(
        backend,
        LanguageModel.random(backend, CONFIG, SEED),
        AdamW.llama2(),
        LearningRate.constant(1e-2),
        new PreferenceSettings(loss, 0.5, 0, 1, 1));
  }

  /** The right answer to a key is the key + 10. */
  private List<Pair> pairs(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Response> responses = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int key = random.nextInt(3, 10);
      int wrong = 10 + (key - 3 + random.nextInt(1, 7)) % 7 + 3;
      responses.add(Response.of(new int[] {1, key}, new int[] {key + 10, STOP}));
      responses.add(Response.of(new int[] {1, key}, new int[] {wrong, wrong, STOP}));
    }
    double[] references;
    try (LanguageModel reference = LanguageModel.random(backend, CONFIG, SEED)) {
      references = ResponseLogProbs.of(reference, responses);
    }
    List<Pair> pairs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      pairs.add(
          new Pair(
              responses.get(2 * i),
              responses.get(2 * i + 1),
              0,
              references[2 * i],
              references[2 * i + 1]));
    }
    return pairs;
  }

  private static List<Label> labels(List<Pair> pairs) {
    List<Label> labels = new ArrayList<>();
    for (Pair pair : pairs) {
      labels.add(new Label(pair.chosen(), true, pair.chosenReference()));
      labels.add(new Label(pair.rejected(), false, pair.rejectedReference()));
    }
    return labels;
  }

  private PreferenceTrainer.Step step(PreferenceTrainer trainer, Loss loss, List<Pair> pairs) {
    if (loss.isOfPairs()) {
      return trainer.stepPairs(pairs, 1);
    }
    List<Label> labels = labels(pairs);
    List<Response> mismatched = PreferenceTrainer.mismatched(labels, CONFIG.maxPositions());
    try (LanguageModel reference = LanguageModel.random(backend, CONFIG, SEED)) {
      return trainer.stepLabels(labels, mismatched, ResponseLogProbs.of(reference, mismatched), 1);
    }
  }

  private static double accuracy(LanguageModel model, List<Pair> pairs) {
    double right = 0;
    for (Pair pair : pairs) {
      double[] logProbs = ResponseLogProbs.of(model, List.of(pair.chosen(), pair.rejected()));
      right +=
          logProbs[0] - pair.chosenReference() > logProbs[1] - pair.rejectedReference() ? 1 : 0;
    }
    return right / pairs.size();
  }

  @ParameterizedTest
  @EnumSource
  void prefersChosenResponsesThatItHasNotSeen(Loss loss) {
    List<Pair> others = pairs(40, 99);
    try (PreferenceTrainer trainer = trainer(loss)) {
      double first = step(trainer, loss, pairs(16, 0)).loss();
      double last = first;
      for (int i = 1; i < 40; i++) {
        last = step(trainer, loss, pairs(16, i)).loss();
      }
      assertEquals(40, trainer.steps());
      assertTrue(last < 0.7 * first, first + " → " + last);
      assertEquals(1, accuracy(trainer.model(), others), 0.05);
    }
  }

  @ParameterizedTest
  @EnumSource
  void resumesInTheSameBits(Loss loss) throws IOException {
    try (PreferenceTrainer straight = trainer(loss);
        PreferenceTrainer resumed = trainer(loss)) {
      for (int i = 0; i < 3; i++) {
        step(straight, loss, pairs(5, i));
      }
      resumed.read(StateReader.of(StateWriter.toBytes(straight::write)));
      for (int i = 3; i < 5; i++) {
        step(straight, loss, pairs(5, i));
        step(resumed, loss, pairs(5, i));
      }
      assertArrayEquals(
          straight.model().weights().flat().toFloats(),
          resumed.model().weights().flat().toFloats());
    }
  }

  /** The parts of a batch add up to the batch, up to rounding. */
  @ParameterizedTest
  @EnumSource
  void microBatchesGiveTheSameUpdate(Loss loss) {
    try (PreferenceTrainer whole = trainer(loss);
        PreferenceTrainer parts = trainer(loss)) {
      parts.model().useMemory(new ActivationMemory(8, false));
      PreferenceTrainer.Step expected = step(whole, loss, pairs(6, 0));
      PreferenceTrainer.Step actual = step(parts, loss, pairs(6, 0));
      assertEquals(expected.loss(), actual.loss(), 1e-5);
      assertArrayEquals(expected.logProbs(), actual.logProbs(), 1e-4);
      assertEquals(expected.update().gradientNorm(), actual.update().gradientNorm(), 1e-4);
    }
  }

  @Test
  void mismatchedPairsHaveOtherPrompts() {
    Label first = new Label(Response.of(new int[] {1, 4}, new int[] {14, STOP}), true, 0);
    Label same = new Label(Response.of(new int[] {1, 4}, new int[] {15, STOP}), false, 0);
    Label other = new Label(Response.of(new int[] {1, 5, 6}, new int[] {16, 17, STOP}), true, 0);
    List<Response> mismatched = PreferenceTrainer.mismatched(List.of(first, same, other), 4);
    assertEquals(3, mismatched.size());
    assertArrayEquals(new int[] {1, 4, 16, 17}, mismatched.get(0).tokens(), "cut at 4 tokens");
    assertArrayEquals(new int[] {1, 4, 16, 17}, mismatched.get(1).tokens());
    assertArrayEquals(new int[] {1, 5, 6, 14}, mismatched.get(2).tokens());
    assertTrue(PreferenceTrainer.mismatched(List.of(first, same), 4).isEmpty());
  }

  @ParameterizedTest
  @EnumSource
  void logProbsThatAreNotFiniteMakeNoUpdate(Loss loss) {
    try (PreferenceTrainer trainer = trainer(loss)) {
      float[] bad = trainer.model().weights().flat().toFloats();
      Arrays.fill(bad, Float.NaN);
      trainer.model().weights().flat().write(bad);
      PreferenceTrainer.Step step = step(trainer, loss, pairs(3, 0));
      assertTrue(Double.isNaN(step.loss()));
      assertFalse(step.update().applied());
      assertEquals(0, trainer.steps());
    }
  }
}
