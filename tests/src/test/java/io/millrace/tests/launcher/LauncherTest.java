package io.millrace.tests.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script {@code millrace}, in a directory of its own, with a JDK that prints its arguments. */
class LauncherTest {

  @TempDir private Path directory;

  private Path script;
  private Path jdk;

  private record Run(int code, List<String> out, String err) {}

  @BeforeEach
  void install() throws IOException {
    Path home = Files.createDirectories(directory.resolve("a home $HOME * é"));
    script = home.resolve("millrace");
    Files.copy(Path.of("../millrace"), script);
    executable(script);
    Path distribution = Files.createDirectories(home.resolve("flink-jobs/cli/target/distribution"));
    Files.writeString(distribution.resolve("jvm.options"), "");
    Files.writeString(home.resolve("pom.xml"), "");
    Path stamp = Files.writeString(distribution.resolve(".built"), "");
    Files.setLastModifiedTime(stamp, FileTime.from(Instant.now().plusSeconds(60)));
    jdk = jdk("jdk", "25.0.3");
  }

  private Path jdk(String name, String version) throws IOException {
    Path made = directory.resolve(name);
    Path java = Files.createDirectories(made.resolve("bin")).resolve("java");
    Files.writeString(made.resolve("release"), "JAVA_VERSION=\"%s\"\n".formatted(version));
    Files.writeString(java, "#!/bin/sh\necho \"$0\"\nfor a in \"$@\"; do echo \"$a\"; done\n");
    executable(java);
    return made;
  }

  private static void executable(Path file) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private Run run(Path program, Map<String, String> environment, String... arguments)
      throws Exception {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    Path err = directory.resolve("err");
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(directory.toFile()).redirectError(err.toFile());
    builder.environment().keySet().removeIf(name -> name.startsWith("MILLRACE_"));
    builder.environment().put("JAVA_HOME", jdk.toString());
    environment.forEach(
        (name, value) -> {
          builder.environment().remove(name);
          if (!value.isEmpty()) {
            builder.environment().put(name, value);
          }
        });
    Process process = builder.start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    return new Run(process.exitValue(), out.lines().toList(), Files.readString(err));
  }

  private void assertStarts(Run run, String... arguments) {
    assertEquals(0, run.code(), run.err());
    assertEquals("", run.err());
    assertEquals(jdk.resolve("bin/java").toString(), run.out().getFirst());
    int main = run.out().indexOf("io.millrace.cli.Millrace");
    assertEquals(List.of(arguments), run.out().subList(main + 1, run.out().size()));
    assertTrue(run.out().get(main - 1).startsWith(script.getParent().toString()), "class path");
  }

  @Test
  void argumentsArriveAsTheyAre() throws Exception {
    String[] arguments = {"generate", "--prompt", "two  words *", "", "$HOME", "a'b\"c", "-"};
    assertStarts(run(script, Map.of(), arguments), arguments);
  }

  @Test
  void linksLeadToTheScript() throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link"), script);
    Path second = Files.createSymbolicLink(directory.resolve("second"), Path.of("link"));
    assertStarts(run(link, Map.of(), "doctor"), "doctor");
    assertStarts(run(second, Map.of(), "doctor"), "doctor");
  }

  @Test
  void theEnvironmentMayBeSparse() throws Exception {
    assertStarts(run(script, Map.of("HOME", "", "TMPDIR", ""), "doctor"), "doctor");
    assertStarts(run(script, Map.of("MILLRACE_LOG_DIR", "/proc/none"), "doctor"), "doctor");
    // No JDK in HOME: the search passes its folders without an error.
    jdk = jdk("newer", "26-ea");
    assertStarts(run(script, Map.of("HOME", ""), "doctor"), "doctor");
  }

  @Test
  void anOldJdkIsPassedOver() throws Exception {
    Path old = jdk("old", "17.0.1");
    Run run =
        run(
            script,
            Map.of("JAVA_HOME", old.toString(), "PATH", jdk + "/bin:/usr/bin:/bin"),
            "doctor");
    assertStarts(run, "doctor");
  }

  @Test
  void aBadHeapIsRefusedByName() throws Exception {
    for (String heap : List.of("abc", "2gb", "-1g", "2 g", "1g -version")) {
      Run run = run(script, Map.of("MILLRACE_HEAP", heap), "doctor");
      assertEquals(2, run.code(), heap);
      assertEquals(
          "millrace: MILLRACE_HEAP must be a size such as 2g or 1536m, not '%s'\n".formatted(heap),
          run.err());
    }
    Run run = run(script, Map.of("MILLRACE_HEAP", "1536m"), "doctor");
    assertStarts(run, "doctor");
    assertTrue(run.out().contains("-Xmx1536m"), run.out().toString());
  }

  @Test
  void aBuildThatCannotStartIsReported() throws Exception {
    Files.delete(script.resolveSibling("flink-jobs/cli/target/distribution/.built"));
    // A file where the directory of the log would be.
    Files.writeString(script.resolveSibling("target"), "");
    Run run = run(script, Map.of(), "doctor");
    assertEquals(2, run.code(), run.err());
    assertTrue(run.err().contains("millrace: cannot build in " + script.getParent()), run.err());
  }

  /** The JVM warns of the module at each start. */
  @Test
  void onlyCommandsThatComputeHaveTheVectorModule() throws Exception {
    Files.writeString(
        script.resolveSibling("flink-jobs/cli/target/distribution/jvm.options"),
        "--add-modules=jdk.incubator.vector\n--enable-native-access=ALL-UNNAMED\n");
    Run produce = run(script, Map.of(), "produce", "prompts", "--file", "-");
    assertStarts(produce, "produce", "prompts", "--file", "-");
    assertTrue(produce.out().contains("--enable-native-access=ALL-UNNAMED"));
    assertTrue(produce.out().contains("-Xmx2g"), produce.out().toString());
    assertFalse(produce.out().toString().contains("vector"), produce.out().toString());
    assertFalse(produce.out().stream().anyMatch(option -> option.startsWith("@")));
    assertTrue(
        run(script, Map.of(), "chat").out().stream()
            .anyMatch(option -> option.endsWith("/jvm.options")));
  }

  @Test
  void commandsThatComputeNothingStartFromTheArchiveAndLeaveNoFolder() throws Exception {
    for (String[] command :
        new String[][] {
          {"help"}, {"version"}, {"topics"}, {"schemas"}, {"status"}, {"run", "--help"}, {}
        }) {
      Run run = run(script, Map.of(), command);
      assertStarts(run, command);
      assertTrue(
          run.out().stream().anyMatch(option -> option.endsWith("/classes.jsa")),
          run.out().toString());
      assertTrue(Files.notExists(directory.resolve("millrace-data")), List.of(command).toString());
    }
    Run run = run(script, Map.of(), "run", "ppo");
    assertTrue(run.out().contains("-Xmx2g"), run.out().toString());
    assertTrue(run.out().stream().noneMatch(option -> option.endsWith("/classes.jsa")));
    assertTrue(Files.isDirectory(directory.resolve("millrace-data/log")));
  }
}
