package io.millrace.tests.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.model.tensor.Backends;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code tests/gpu/pack.sh} and {@code run.sh} on the CPU, in a build with {@code -Ptorch}. */
@Tag("slow")
class GpuPackTest {

  @TempDir private Path directory;

  @Test
  void allChecksRunFromPiecesOfThePack() throws Exception {
    assumeTrue(
        hasTorch(), "this build has no backend torch; build with -Ptorch to try the GPU checks");
    Path packed = directory.resolve("gpu-checks");
    Script pack =
        Script.run(
            directory,
            Duration.ofMinutes(5),
            List.of(
                Path.of("gpu/pack.sh").toAbsolutePath().toString(),
                "--torch",
                "cpu",
                "--no-build",
                "--pieces",
                "60M",
                "--out",
                packed.toString()));
    assertEquals(0, pack.code(), pack.toString());
    Script join =
        Script.run(
            Files.createDirectory(directory.resolve("elsewhere")),
            Duration.ofMinutes(5),
            List.of("bash", "-c", "cat ../gpu-checks.tar.[0-9][0-9][0-9] | tar x"));
    assertEquals(0, join.code(), join.toString());

    Script run =
        Script.run(
            directory,
            Duration.ofMinutes(15),
            List.of(
                directory.resolve("elsewhere/gpu-checks/run.sh").toString(), "--budget", "840"));
    assertEquals(0, run.code(), run.toString());
    assertFalse(run.out().contains("FAIL"), run.toString());
    for (String check :
        List.of(
            "contract suite, float32",
            "contract suite, bfloat16",
            "quickstart: rollouts learned",
            "logprobs: torch against cpu",
            "adapters: five models")) {
      assertEquals("pass", run.result(check), run.toString());
    }
    for (String check :
        List.of("update: share", "update against eager libtorch", "decode: share")) {
      assertEquals("not judged", run.result(check), run.toString());
    }
    assertTrue(run.row("contract suite, float32").matches(".* [1-9][0-9]+ of .*"), run.toString());
  }

  private static boolean hasTorch() {
    try {
      return Backends.named("torch").name().equals("torch");
    } catch (IllegalArgumentException e) {
      return false;
    }
  }
}
