package io.millrace.model.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tensor.Precision;
import io.millrace.model.torch.library.TorchMemory;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** PPO on {@code torch} over many updates: its curve, its bits, its memory, its copies. */
class TorchTrainingTest {

  private static Backend torch(Precision precision) {
    return TestDevice.backend(precision, 2);
  }

  /** Value loss, entropy and policy loss of each of 200 updates. */
  private static double[][] curve(Backend backend) {
    String[] names = {"loss/value_avg", "policy/entropy_avg", "loss/policy_avg"};
    double[][] curve = new double[names.length][200];
    try (PpoTrainer trainer = PpoRun.trainer(backend, 3e-3)) {
      for (int i = 0; i < 200; i++) {
        PpoIteration iteration = PpoRun.update(trainer, i);
        for (int m = 0; m < names.length; m++) {
          curve[m][i] = iteration.metrics().get(names[m]);
        }
      }
    }
    return curve;
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void twoHundredUpdatesFollowTheCurveOfTheCpuBackend(Precision precision) {
    double[][] expected;
    double[][] actual;
    try (Backend cpu = Backends.named("cpu").open();
        Backend torch = torch(precision)) {
      expected = curve(cpu);
      actual = curve(torch);
    }
    // Shares of the range of each metric. Rounding grows from update to update. In bfloat16 a value
    // itself is some 1e-3 off: the entropy's range is only 0.4 % of the entropy.
    double tolerance = precision == Precision.FLOAT32 ? 2e-3 : 1e-1;
    double rounding = precision == Precision.FLOAT32 ? 0 : 1e-3;
    for (int m = 0; m < expected.length; m++) {
      double low = Double.POSITIVE_INFINITY;
      double high = Double.NEGATIVE_INFINITY;
      for (double value : expected[m]) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      assertTrue(high - low > 0.01, "metric " + m + " must change, to show anything");
      for (int i = 0; i < expected[m].length; i++) {
        assertEquals(
            expected[m][i],
            actual[m][i],
            tolerance * (high - low) + rounding * Math.abs(expected[m][i]),
            "metric " + m + ", update " + i + ", range " + (high - low));
      }
    }
  }

  @Test
  void logProbabilitiesEqualThoseOfTheCpuBackend() {
    SplittableRandom random = new SplittableRandom(3);
    List<int[]> sequences =
        List.of(
            random.ints(40, 3, PpoRun.VOCAB).toArray(), random.ints(7, 3, PpoRun.VOCAB).toArray());
    Targets targets = Targets.all(sequences);
    float[][] results = new float[2][];
    int at = 0;
    for (Backend backend : List.of(Backends.named("cpu").open(), torch(Precision.FLOAT32))) {
      try (backend;
          LanguageModel model = LanguageModel.random(backend, PpoRun.CONFIG, 9)) {
        float[] weights = model.weights().decayed().toFloats();
        for (int i = 0; i < weights.length; i++) {
          weights[i] *= 5;
        }
        model.weights().decayed().write(weights);
        results[at++] = model.infer(sequences, targets, 1).logProbs();
      }
    }
    assertArrayEquals(results[0], results[1], 1e-4f);
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void aTrainerThatIsRestoredEndsInTheSameBits(Precision precision) throws Exception {
    try (Backend backend = torch(precision);
        PpoTrainer whole = PpoRun.trainer(backend, 1e-3);
        PpoTrainer interrupted = PpoRun.trainer(backend, 1e-3)) {
      for (int i = 0; i < 6; i++) {
        PpoIteration _ = PpoRun.update(whole, i);
      }
      for (int i = 0; i < 3; i++) {
        PpoIteration _ = PpoRun.update(interrupted, i);
      }
      byte[] state = StateWriter.toBytes(interrupted::write);
      try (Backend other = torch(precision);
          PpoTrainer resumed = PpoRun.trainer(other, 1e-3)) {
        resumed.read(StateReader.of(state));
        for (int i = 3; i < 6; i++) {
          PpoIteration _ = PpoRun.update(resumed, i);
        }
        assertArrayEquals(
            whole.policy().weights().flat().toFloats(),
            resumed.policy().weights().flat().toFloats());
        assertArrayEquals(
            whole.critic().weights().flat().toFloats(),
            resumed.critic().weights().flat().toFloats());
      }
    }
  }

  @Test
  void nothingGrowsOverAThousandUpdates() {
    try (Backend backend = torch(Precision.BFLOAT16);
        PpoTrainer trainer = PpoRun.trainer(backend, 1e-4)) {
      for (int i = 0; i < 300; i++) {
        PpoIteration _ = PpoRun.update(trainer, i % 10);
      }
      long pointers = Pointer.totalCount();
      long resident = Pointer.physicalBytes();
      long used = TorchMemory.usedBytes();
      for (int i = 0; i < 1_000; i++) {
        PpoIteration _ = PpoRun.update(trainer, i % 10);
      }
      long more = Pointer.totalCount() - pointers;
      // Views of slices are kept up to a limit; a leak of one pointer an update would be 1,000.
      assertTrue(more < 500, more + " native objects more");
      assertEquals(used, TorchMemory.usedBytes());
      long grown = Pointer.physicalBytes() - resident;
      assertTrue(grown < 32 << 20, grown + " bytes resident more");
    }
  }

  /**
   * A token of an update crosses the boundary as an index, position and offset for each of the two
   * models and both passes, and as a handful of floats; weights and activations do not.
   */
  @Test
  void anUpdateCopiesSomeNumbersPerToken() {
    try (Backend backend = torch(Precision.FLOAT32);
        PpoTrainer trainer = PpoRun.trainer(backend, 1e-4)) {
      PpoIteration _ = PpoRun.update(trainer, 0);
      long to = backend.bytesToDevice();
      long from = backend.bytesFromDevice();
      PpoIteration _ = PpoRun.update(trainer, 1);
      long tokens = PpoRun.rollouts(1).stream().mapToLong(rollout -> tokens(rollout)).sum();
      long sent = backend.bytesToDevice() - to;
      long received = backend.bytesFromDevice() - from;
      assertTrue(sent <= 200 * tokens, sent + " bytes to the device for " + tokens + " tokens");
      assertTrue(received <= 40 * tokens, received + " bytes back for " + tokens + " tokens");
      assertTrue(sent > 0 && received > 0);
    }
  }

  private static long tokens(PpoRollout rollout) {
    return (long) rollout.prompt().length + rollout.response().length;
  }
}
