package io.millrace.model.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.OutOfDeviceMemoryException;
import io.millrace.model.tensor.Placement;
import io.millrace.model.tensor.Precision;
import io.millrace.model.tensor.Tensor;
import io.millrace.model.torch.library.Libtorch;
import io.millrace.model.torch.library.Operator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The library itself: what is refused, and how errors read. */
class LibtorchTest {

  @Test
  void missingLibrariesAreNamed() {
    assertEquals(
        List.of("libnone.so.13", "libnothing.so.9"),
        Libtorch.missing(List.of("libnone.so.13", "libc.so.6", "libnothing.so.9")));
  }

  @Test
  void anotherSchemaIsRefusedWithBothTexts() {
    Libtorch.load();
    Operator.requireSchemas();
    String found = "aten::_fused_adamw_(Tensor self) -> ()";
    String message =
        assertThrows(IllegalStateException.class, () -> Operator.FUSED_ADAMW.require(found))
            .getMessage();
    assertTrue(message.contains(found), message);
    assertTrue(message.contains(Operator.FUSED_ADAMW.schema()), message);
  }

  @Test
  void aDeviceThatIsNotThereIsRefused() {
    TorchBackendFactory factory = new TorchBackendFactory();
    Placement cuda = new Placement("cuda:99", Precision.FLOAT32);
    factory.require(cuda);
    String message =
        assertThrows(IllegalStateException.class, () -> factory.open(cuda).close()).getMessage();
    assertTrue(message.contains("cuda:99"), message);
  }

  @Test
  void findingsNameTheReleaseAndTheDevices() {
    String findings = String.join("\n", new TorchBackendFactory().findings());
    assertTrue(findings.contains("libtorch " + Libtorch.version()), findings);
    assertTrue(findings.contains("devices: cpu"), findings);
    assertTrue(findings.contains("bfloat16"), findings);
  }

  @Test
  void outOfMemoryNamesTheConsumersAndWhatToLower() {
    try (Backend backend = new TorchBackend("cpu", Precision.FLOAT32, 1);
        Tensor _ = backend.allocateActivation(1 << 20)) {
      String message =
          assertThrows(
                  OutOfDeviceMemoryException.class,
                  () -> backend.allocate(1 << 24, 1 << 24).close())
              .getMessage();
      assertTrue(
          message.startsWith("out of memory on cpu at weights, gradients and moments of"), message);
      assertTrue(message.contains("activations"), message);
      assertTrue(message.contains("compute.micro-batch-tokens"), message);
    }
  }

  /**
   * libtorch's device {@code meta} has shapes and no elements, and refuses operators that mix it
   * with another device. A whole update on it therefore shows that no kernel leaves the device.
   */
  @ParameterizedTest
  @EnumSource(Precision.class)
  void noKernelMixesDevices(Precision precision) {
    try (Backend backend = new TorchBackend("meta", precision, 1);
        PpoTrainer trainer = PpoRun.trainer(backend, 1e-4)) {
      PpoIteration _ = PpoRun.update(trainer, 1);
      assertEquals(1, trainer.steps());
    }
  }
}
