package io.millrace.model.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.Weights;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;
import io.millrace.model.tensor.Tensor;
import io.millrace.model.torch.library.TorchMemory;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Two operators, each with a backend and a thread of its own, on one frozen base. */
class SharedBaseTest {

  private static final AdapterConfig ADAPTER = new AdapterConfig(2, 4, AdapterConfig.PROJECTIONS);
  private static final List<int[]> SEQUENCES =
      List.of(new int[] {1, 9, 33, 17, 5, 40, 2, 61}, new int[] {7, 3, 12});
  private static final Targets TARGETS = Targets.all(SEQUENCES);
  private static final int ROUNDS = 60;

  private static Backend torch(Precision precision) {
    return new TorchBackend("cpu", precision, 2);
  }

  private static FrozenWeights base(Backend backend) {
    try (Parameters random = Parameters.random(backend, PpoRun.CONFIG.parameters(), 1)) {
      return FrozenWeights.of(
          backend,
          PpoRun.CONFIG.parameters(),
          (spec, tensor) -> backend.copy(tensor, random.get(spec.name())));
    }
  }

  /** A model with an adapter of its own, whose B is not 0. */
  private static LanguageModel adapted(Backend backend, FrozenWeights base, long seed) {
    Parameters trained = Weights.initial(backend, ADAPTER.parameters(PpoRun.CONFIG), seed);
    float[] values = trained.flat().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] += (float) (0.1 * Math.sin(seed + i));
    }
    trained.flat().write(values);
    return new LanguageModel(backend, PpoRun.CONFIG, Weights.adapter(base, ADAPTER, trained));
  }

  private static float[] logProbs(LanguageModel model) {
    return model.infer(SEQUENCES, TARGETS, 1).logProbs();
  }

  private static long bytesOfBase(Precision precision) {
    int activation = precision == Precision.FLOAT32 ? 4 : 2;
    return PpoRun.CONFIG.parameters().stream()
        .mapToLong((ParameterSpec spec) -> spec.elementCount() * (spec.decay() ? activation : 4))
        .sum();
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void theBaseIsInMemoryOnceAndOutlivesTheBackendThatLoadedIt(Precision precision) {
    run(precision); // what a process makes once and keeps
    long pointers = Pointer.totalCount();
    long used = TorchMemory.usedBytes();
    run(precision);
    assertEquals(used, TorchMemory.usedBytes(), "bytes");
    assertEquals(pointers, Pointer.totalCount(), "native objects");
  }

  private static void run(Precision precision) {
    Backend first = torch(precision);
    try (Backend second = torch(precision)) {
      assertEquals(first.frozenGroup(), second.frozenGroup());
      long before = TorchMemory.usedBytes();
      FrozenWeights base = base(first);
      assertEquals(bytesOfBase(precision), TorchMemory.usedBytes() - before);
      LanguageModel one = adapted(first, base, 3);
      long withOne = TorchMemory.usedBytes();
      try (LanguageModel other = adapted(second, base.share(), 4)) {
        long adapter = withOne - before - bytesOfBase(precision);
        assertEquals(adapter, TorchMemory.usedBytes() - withOne, "the other adds its adapter only");
        float[] ofOne = logProbs(one);
        float[] ofOther = logProbs(other);
        assertTrue(!Arrays.equals(ofOne, ofOther), "two adapters");
        one.close();
        first.close();
        assertArrayEquals(ofOther, logProbs(other), 0);
        assertTrue(!base.isFreed());
      }
      assertTrue(base.isFreed());
    }
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void twoThreadsComputeOnOneBaseWhileViewsComeAndGo(Precision precision) throws Exception {
    try (Backend first = torch(precision);
        Backend second = torch(precision);
        FrozenWeights base = base(first);
        LanguageModel one = adapted(first, base.share(), 3);
        LanguageModel other = adapted(second, base.share(), 4);
        Tensor many = first.allocate(20_000);
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      float[] expectedOne = logProbs(one);
      float[] expectedOther = logProbs(other);
      CountDownLatch start = new CountDownLatch(2);
      Future<?> left =
          threads.submit(
              together(
                  start,
                  i -> {
                    // More views than a backend keeps: it frees its oldest ones.
                    for (int j = 0; j < 300; j++) {
                      first.zero(many.slice(300L * i + j, 1));
                    }
                    assertArrayEquals(expectedOne, logProbs(one), 0);
                  }));
      Future<?> right =
          threads.submit(
              together(start, _ -> assertArrayEquals(expectedOther, logProbs(other), 0)));
      left.get(120, TimeUnit.SECONDS);
      right.get(120, TimeUnit.SECONDS);
    }
  }

  private interface Round {
    void run(int i);
  }

  private static Callable<Void> together(CountDownLatch start, Round round) {
    return () -> {
      start.countDown();
      start.await();
      for (int i = 0; i < ROUNDS; i++) {
        round.run(i);
      }
      return null;
    };
  }

  @Test
  void aWriteToAFrozenTensorIsRefused() {
    try (Backend backend = torch(Precision.FLOAT32);
        FrozenWeights base = base(backend)) {
      Tensor embedding = base.get(PpoRun.CONFIG.parameters().getFirst().name());
      float[] values = embedding.toFloats();
      String message =
          assertThrows(IllegalStateException.class, () -> backend.zero(embedding)).getMessage();
      assertTrue(message.contains("frozen"), message);
      assertThrows(IllegalStateException.class, () -> embedding.write(values));
      assertArrayEquals(values, embedding.toFloats(), 0);
    }
  }

  @Test
  void aPrecisionHasABaseOfItsOwn() {
    try (Backend wide = torch(Precision.FLOAT32);
        Backend narrow = torch(Precision.BFLOAT16);
        Backend elsewhere = new TorchBackend("meta", Precision.FLOAT32, 1)) {
      assertNotEquals(wide.frozenGroup(), narrow.frozenGroup());
      assertNotEquals(wide.frozenGroup(), elsewhere.frozenGroup());
    }
  }
}
