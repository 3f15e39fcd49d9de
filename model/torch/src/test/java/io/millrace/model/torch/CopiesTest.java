package io.millrace.model.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Parameters;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;
import io.millrace.model.torch.library.TorchMemory;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateSnapshot;
import io.millrace.schemas.state.StateWriter;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Weights and moments that one thread writes out while another one trains. */
class CopiesTest {

  private static Backend torch(Precision precision) {
    return new TorchBackend("cpu", precision, 2);
  }

  /**
   * The bytes are those of the moment of the snapshot, and the trainer does not notice.
   *
   * @param share of the weights and moments that the budget has room for
   */
  @ParameterizedTest
  @CsvSource({"FLOAT32,1", "FLOAT32,0.4", "FLOAT32,0", "BFLOAT16,1"})
  void aStateIsWrittenWhileUpdatesRun(Precision precision, double share) throws Exception {
    try (Backend backend = torch(precision);
        Backend other = torch(precision);
        PpoTrainer trainer = PpoRun.trainer(backend, 1e-3);
        PpoTrainer alone = PpoRun.trainer(other, 1e-3);
        ExecutorService training = Executors.newSingleThreadExecutor()) {
      for (int i = 0; i < 2; i++) {
        PpoIteration _ = PpoRun.update(trainer, i);
        PpoIteration _ = PpoRun.update(alone, i);
      }
      byte[] expected = StateWriter.toBytes(trainer::write);
      long used = TorchMemory.usedBytes();
      CopyBudget budget = new CopyBudget((long) (share * expected.length));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (StateSnapshot snapshot =
          StateSnapshot.take(new DataOutputStream(out), trainer::write, budget)) {
        assertEquals(budget.inUse(), TorchMemory.usedBytes() - used, "memory of the copies");
        assertEquals(share == 1 ? 6 : share == 0 ? 0 : 2, snapshot.copied());
        CountDownLatch begun = new CountDownLatch(1);
        Future<?> updates =
            training.submit(
                () -> {
                  for (int i = 2; i < 6; i++) {
                    PpoIteration _ = PpoRun.update(trainer, i);
                    begun.countDown();
                  }
                });
        begun.await();
        snapshot.finish();
        updates.get(120, TimeUnit.SECONDS);
      }
      assertArrayEquals(expected, out.toByteArray());
      assertEquals(0, budget.inUse());
      long kept = TorchMemory.usedBytes();
      long copied;
      try (StateSnapshot again =
          StateSnapshot.take(new DataOutputStream(out), trainer::write, budget)) {
        copied = budget.inUse();
        assertEquals(kept, TorchMemory.usedBytes(), "in the memory of the first copies");
        again.finish();
      }
      budget.close();
      assertEquals(kept - copied, TorchMemory.usedBytes(), "all of it is freed");
      byte[] second = Arrays.copyOfRange(out.toByteArray(), expected.length, out.size());
      for (int i = 2; i < 6; i++) {
        PpoIteration _ = PpoRun.update(alone, i);
      }
      assertArrayEquals(StateWriter.toBytes(alone::write), second);
      byte[] after = StateWriter.toBytes(trainer::write);
      assertArrayEquals(StateWriter.toBytes(alone::write), after);
      assertFalse(Arrays.equals(expected, after), "it learned meanwhile");
    }
  }

  @Test
  void aCopyOfWeightsKeepsItsValuesAndGivesItsMemoryBack() {
    try (Backend backend = torch(Precision.FLOAT32);
        LanguageModel model = LanguageModel.random(backend, PpoRun.CONFIG, 1)) {
      float[] before = model.weights().flat().toFloats();
      long bytes = 4L * before.length;
      CopyBudget budget = new CopyBudget(bytes + 3);
      long used = TorchMemory.usedBytes();
      try (Parameters copy = model.weights().copy(budget).orElseThrow()) {
        assertEquals(bytes, TorchMemory.usedBytes() - used);
        assertTrue(model.weights().copy(budget).isEmpty(), "no memory for a second copy");
        backend.zero(model.weights().flat());
        assertArrayEquals(before, copy.flat().toFloats());
        String name = PpoRun.CONFIG.parameters().getLast().name();
        assertEquals(1, copy.get(name).toFloats()[0]);
        assertEquals(0, model.weights().get(name).toFloats()[0]);
      }
      assertEquals(0, budget.inUse());
      budget.close();
      assertEquals(used, TorchMemory.usedBytes());
    }
  }
}
