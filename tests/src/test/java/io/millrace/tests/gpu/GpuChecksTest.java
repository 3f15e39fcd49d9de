package io.millrace.tests.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How {@code tests/gpu/run.sh} judges, with a Java runtime that answers from files. */
class GpuChecksTest {

  private static final String UPDATE =
      "{\"case\":\"update\",\"tokens_per_second\":%s,\"peak_gflop_per_second\":700000.0,"
          + "\"peak_share\":%s}";

  @TempDir private Path pack;

  /** A pack whose checks all pass on a GPU. */
  @BeforeEach
  void install() throws IOException {
    Files.copy(Path.of("gpu/run.sh"), pack.resolve("run.sh"));
    executable(pack.resolve("run.sh"));
    Files.writeString(pack.resolve("torch"), "cuda");
    Files.writeString(pack.resolve("jvm.options"), "");
    Files.createDirectories(pack.resolve("runtime/bin"));
    Path java = pack.resolve("runtime/bin/java");
    // Answers with the file that its arguments name, and with a status of its own if there is one.
    Files.writeString(
        java,
        """
        #!/usr/bin/env bash
        answers="$(dirname "$0")/../../answers"
        case "$*" in
          *" doctor") name=doctor ;;
          *ConsoleLauncher*Bfloat16Test) name=bfloat16 ;;
          *ConsoleLauncher*) name=float32 ;;
          *" quickstart "*)
            name=quickstart
            cp "$answers/report.json" "${@: -1}"
            mkdir -p "$(dirname "${@: -1}")/quickstart/run/checkpoints/policy/v000061"
            ;;
          *" logprobs "*"--backend torch"*) name=logprobs-torch ;;
          *" logprobs "*) name=logprobs-cpu ;;
          *"bench update"*) name=update ;;
          *LibtorchPpoStep*) name=rival ;;
          *"bench adapters"*) name=adapters ;;
          *"bench generate"*) name=decode ;;
        esac
        echo "$*" >"$answers/$name.arguments"
        cat "$answers/$name"
        [ ! -f "$answers/$name.sleep" ] || exec sleep 60
        [ ! -f "$answers/$name.status" ] || { echo "it broke" >&2; exit 1; }
        """);
    executable(java);
    answer(
        "doctor",
        """
        GPU            NVIDIA H200
        Backend torch  libtorch 2.10.0, natives for CUDA
                       devices: cpu, cuda:0; auto is cuda:0
        """);
    for (String suite : List.of("float32", "bfloat16")) {
      answer(suite, "[       120 tests started         ]\n[       120 tests successful      ]\n");
    }
    answer("quickstart", "");
    report(0.87);
    answer("logprobs-cpu", "[-3.0, -17.5, -6.25]\n");
    answer("logprobs-torch", "[-3.0, -17.50002, -6.25]\n");
    answer("update", UPDATE.formatted("24000.0", "0.47"));
    answer("rival", "{\"tokens_per_second\":15000.0}");
    answer(
        "adapters",
        "{\"tokens_per_second\":3000.0,\"memory_mib\":81920.0,\"planned_memory_mib\":80000.0}");
    answer(
        "decode",
        "{\"tokens_per_second\":9000.0,\"peak_gb_per_second\":4000.0,\"bandwidth_share\":0.55}");
  }

  private static void executable(Path file) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private void answer(String name, String text) throws IOException {
    Files.writeString(Files.createDirectories(pack.resolve("answers")).resolve(name), text);
  }

  private void report(double helpfulness) throws IOException {
    answer(
        "report.json",
        """
        {"policy": {"first": {"gold_helpfulness": 0.49, "gold_safety": 0.25, "unsafe_compliance": 0.66},
          "last": {"gold_helpfulness": %s, "gold_safety": 0.9, "unsafe_compliance": 0.01}},
         "ppo": {"iterations": 60, "learned": 3840, "learned_twice": 0}}
        """
            .formatted(helpfulness));
  }

  private Script run(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(pack.resolve("run.sh").toString()));
    Collections.addAll(command, arguments);
    return Script.run(pack, Duration.ofSeconds(90), command);
  }

  private Script runAll(String... arguments) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "--only",
                "contract-float32,contract-bfloat16,quickstart,update,rival,adapters,decode"));
    Collections.addAll(all, arguments);
    return run(all.toArray(String[]::new));
  }

  @Test
  void aTableOfChecksThatPass() throws Exception {
    Script run = runAll();
    assertEquals(0, run.code(), run.toString());
    for (String check :
        List.of(
            "device",
            "contract suite, float32",
            "contract suite, bfloat16",
            "quickstart: rollouts learned",
            "quickstart: helpful",
            "logprobs: torch",
            "update: share",
            "update against eager libtorch",
            "adapters: five models",
            "decode: share")) {
      assertEquals("pass", run.result(check), run.toString());
    }
    assertTrue(run.row("update: share").contains("47.0 % of 700.0 TFLOP/s"), run.toString());
    assertTrue(run.row("update against").contains("1.60 times 15000 tokens/s"), run.toString());
    assertTrue(run.row("adapters: memory").contains("1.02 times 78.12 GiB"), run.toString());
    assertEquals("reported", run.result("decode: tokens/s"));
    assertEquals(run.out(), Files.readString(pack.resolve("results/table.txt")));
    String update = Files.readString(pack.resolve("answers/update.arguments"));
    assertTrue(update.contains("--device cuda:0 --precision bfloat16 --hidden 2048"), update);
  }

  @Test
  void whatIsBelowItsLimitFails() throws Exception {
    answer("update", UPDATE.formatted("16000.0", "0.44"));
    answer(
        "decode",
        "{\"tokens_per_second\":1.0,\"peak_gb_per_second\":4000.0,\"bandwidth_share\":0.49}");
    report(0.5);
    answer("logprobs-torch", "[-3.0, -17.5, -6.2502]\n");
    Script run = runAll();
    assertEquals(1, run.code(), run.toString());
    for (String check :
        List.of(
            "update: share",
            "update against",
            "decode: share",
            "quickstart: helpful",
            "logprobs: torch")) {
      assertEquals("FAIL", run.result(check), run.toString());
    }
    assertEquals("pass", run.result("contract suite, float32"), run.toString());
  }

  @Test
  void whatBreaksFailsWithItsLastLine() throws Exception {
    for (String name : List.of("bfloat16", "rival", "adapters")) {
      answer(name + ".status", "");
    }
    Script run = runAll();
    assertEquals(1, run.code(), run.toString());
    for (String check : List.of("contract suite, bfloat16", "update against", "adapters: five")) {
      assertEquals("FAIL", run.result(check), run.toString());
      assertTrue(run.row(check).contains("it broke"), run.toString());
    }
    assertEquals("pass", run.result("contract suite, float32"), run.toString());
  }

  @Test
  void aCheckHasNoMoreTimeThanTheBudget() throws Exception {
    answer("update.sleep", "");
    Script run = run("--only", "update,decode", "--budget", "4");
    assertEquals(1, run.code(), run.toString());
    assertEquals("FAIL", run.result("update"), run.toString());
    assertTrue(run.row("update").contains("stopped after its limit"), run.toString());
    assertTrue(run.row("decode").contains("no time left of the budget of 4 s"), run.toString());
  }

  @Test
  void onTheCpuLimitsOfGpusAreNotJudged() throws Exception {
    answer("update", UPDATE.formatted("16000.0", "0.44"));
    Script run = run("--device", "cpu", "--only", "update,rival");
    assertEquals(0, run.code(), run.toString());
    assertTrue(run.out().contains("not judged"), run.toString());
    assertEquals("not judged", run.result("update: share"), run.toString());
    assertEquals("not judged", run.result("update against"), run.toString());
  }

  @Test
  void aMissingDeviceIsNamedBeforeAnyCheck() throws Exception {
    answer("doctor", "Backend torch  natives for CUDA; missing libraries: libcudnn.so.9\n");
    Script run = runAll();
    assertEquals(2, run.code(), run.toString());
    assertTrue(run.err().contains("libcudnn.so.9"), run.toString());
    assertTrue(run.err().contains("cuda:0"), run.toString());
    assertEquals(2, run("--device", "cuda:1").code());
    assertEquals(2, run("--only", "decoding").code());
    assertEquals(2, run("--budget", "long").code());
  }

  @Test
  void logProbsThatAreNoNumbersFail() throws Exception {
    for (String torch :
        List.of("[NaN, NaN, NaN]", "[-3.0, -17.5]", "[]", "", "[null, null, null]")) {
      answer("logprobs-torch", torch + "\n");
      Script run = run("--only", "quickstart");
      assertEquals("FAIL", run.result("logprobs: torch"), torch + run);
      assertEquals(1, run.code(), run.toString());
    }
    answer("logprobs-cpu", "[null, -17.5, -6.25]\n");
    answer("logprobs-torch", "[null, -17.5, -6.25]\n");
    assertEquals("pass", run("--only", "quickstart").result("logprobs: torch"));
    answer("logprobs-cpu", "[NaN]\n");
    answer("logprobs-torch", "[NaN]\n");
    assertEquals("FAIL", run("--only", "quickstart").result("logprobs: torch"));
  }

  @Test
  void argumentsThatNameNoCheckAreRefused() throws Exception {
    for (String only :
        List.of(",", "decode,", "decode update", "*", "decode,\u001b[31m", "Decode")) {
      refused("--only", "--only", only);
    }
    refused("--budget", "--budget", "99999999999999999999");
    refused("--device", "--device", "cuda:0;true");
    refused("unknown argument", "\u001b[31m");
    assertEquals(2, run("--device", "cuda:").code());
  }

  @Test
  void onlyAFolderOfAnEarlierRunIsCleared() throws Exception {
    Path mine = Files.createDirectories(pack.resolve("mine/quickstart")).getParent();
    Files.writeString(mine.resolve("quickstart/work"), "mine");
    Files.writeString(mine.resolve("note.out"), "mine");
    refused("other files", "--out", mine.toString());
    assertEquals("mine", Files.readString(mine.resolve("quickstart/work")));
    assertEquals("mine", Files.readString(mine.resolve("note.out")));
    refused("is a file", "--out", mine.resolve("note.out").toString());
    refused("must be a folder", "--out", "");
    refused("must be a folder", "--out", "a\nb");
    refused("cannot be made", "--out", "/proc/results");

    for (String folder : List.of("-x", "two words", "it's \"new\"")) {
      for (int i = 0; i < 2; i++) {
        Script run = run("--only", "decode", "--out", folder);
        assertEquals(0, run.code(), run.toString());
        assertEquals(run.out(), Files.readString(pack.resolve(folder).resolve("table.txt")));
      }
    }
  }

  @Test
  void aPackThatCannotBeAClassPathIsRefused() throws Exception {
    for (String name : List.of("a:b", "a\nb")) {
      Path odd = Files.createDirectories(pack.resolve(name));
      Files.copy(pack.resolve("run.sh"), odd.resolve("run.sh"));
      executable(odd.resolve("run.sh"));
      Script run = Script.run(pack, Duration.ofSeconds(90), List.of(odd.resolve("run.sh") + ""));
      assertEquals(2, run.code(), run.toString());
      assertTrue(run.err().contains("rename it"), run.toString());
    }
    Files.writeString(pack.resolve("torch"), "rocm");
    refused("pack again", "--only", "decode");
  }

  @Test
  void whoStopsTheScriptStopsItsChecks() throws Exception {
    for (String check : List.of("update", "float32")) {
      answer(check + ".sleep", "");
      Path arguments = pack.resolve("answers").resolve(check + ".arguments");
      Files.deleteIfExists(arguments);
      Process script =
          new ProcessBuilder(pack.resolve("run.sh").toString(), "--only", "update,contract-float32")
              .directory(pack.toFile())
              .redirectErrorStream(true)
              .redirectOutput(pack.resolve(check + ".log").toFile())
              .start();
      List<ProcessHandle> all = new ArrayList<>();
      try {
        for (int i = 0; i < 300 && !Files.exists(arguments); i++) {
          Thread.sleep(100);
        }
        all.addAll(script.descendants().toList());
        assertFalse(all.isEmpty());
        script.destroy();
        assertTrue(script.waitFor(10, TimeUnit.SECONDS));
        assertEquals(2, script.exitValue());
        for (ProcessHandle process : all) {
          process.onExit().get(10, TimeUnit.SECONDS);
        }
      } finally {
        all.forEach(ProcessHandle::destroy);
        script.destroyForcibly();
      }
      Files.delete(pack.resolve("answers").resolve(check + ".sleep"));
    }
  }

  /** Refused in one line that names the argument and prints no control characters. */
  private void refused(String reason, String... arguments) throws Exception {
    Script run = run(arguments);
    assertEquals(2, run.code(), run.toString());
    assertEquals(1, run.err().lines().count(), run.toString());
    assertTrue(run.err().contains(reason), run.toString());
    assertTrue(run.err().strip().chars().noneMatch(Character::isISOControl), run.toString());
    assertEquals("", run.out());
  }
}
