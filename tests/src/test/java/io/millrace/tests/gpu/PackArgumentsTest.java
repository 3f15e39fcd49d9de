package io.millrace.tests.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code tests/gpu/pack.sh} refuses and replaces, with empty files in place of a build. */
class PackArgumentsTest {

  @TempDir private Path directory;

  private Path home;

  @BeforeEach
  void install() throws IOException {
    home = directory.resolve("home of mine");
    for (String script : List.of("pack.sh", "run.sh", "README.md")) {
      Path copy = home.resolve("tests/gpu").resolve(script);
      Files.createDirectories(copy.getParent());
      Files.copy(Path.of("gpu").resolve(script), copy);
      executable(copy);
    }
    String natives = "linux-" + System.getProperty("os.arch").replace("amd64", "x86_64");
    for (String built :
        List.of(
            "flink-jobs/cli/target/distribution/jvm.options",
            "flink-jobs/cli/target/distribution/lib/pytorch-2-"
                + natives.replace("aarch64", "arm64")
                + ".jar",
            "model/torch/target/test-classes/io/T.class",
            "model/torch/target/console/console.jar",
            "model/contract/target/millrace-model-contract-1.jar",
            "tests/rivals/pytorch_ppo_step.py",
            "tests/rivals/LibtorchPpoStep.java")) {
      write(home.resolve(built), "built");
    }
    write(home.resolve("jdk/release"), "JAVA_VERSION=\"25\"\n");
    write(home.resolve("jdk/bin/javac"), "#!/bin/sh\n");
    write(home.resolve("jdk/bin/jlink"), "#!/bin/sh\nmkdir -p \"$2/bin\"\n");
    executable(home.resolve("jdk/bin/javac"));
    executable(home.resolve("jdk/bin/jlink"));
  }

  private static void write(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private static void executable(Path file) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private Script pack(String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                "env",
                "JAVA_HOME=" + home.resolve("jdk"),
                home.resolve("tests/gpu/pack.sh").toString(),
                "--torch",
                "cpu",
                "--no-build"));
    Collections.addAll(command, arguments);
    return Script.run(directory, Duration.ofSeconds(60), command);
  }

  private void refused(String reason, String... arguments) throws Exception {
    Script pack = pack(arguments);
    assertEquals(2, pack.code(), pack.toString());
    assertEquals(1, pack.err().lines().count(), pack.toString());
    assertTrue(pack.err().contains(reason), pack.toString());
    assertTrue(pack.err().strip().chars().noneMatch(Character::isISOControl), pack.toString());
  }

  @Test
  void packsIntoFoldersWithOddNamesAndReplacesItsOwn() throws Exception {
    for (String name : List.of("-x", "two words", "it's \"new\"")) {
      for (int i = 0; i < 2; i++) {
        Script pack = pack("--out", name, "--pieces", "1M");
        assertEquals(0, pack.code(), pack.toString());
      }
      assertEquals("cpu\n", Files.readString(directory.resolve(name).resolve("torch")));
      assertTrue(Files.exists(directory.resolve(name + ".tar.000")));
      Script check =
          Script.run(
              directory,
              Duration.ofSeconds(60),
              List.of("sha256sum", "-c", "./" + name + ".tar.sha256"));
      assertEquals(0, check.code(), check.toString());
    }
  }

  @Test
  void foldersOfOthersAreLeftAlone() throws Exception {
    Path mine = directory.resolve("mine");
    write(mine.resolve("torch"), "mine");
    write(mine.resolve("lib/work"), "mine");
    refused("was not made by pack.sh", "--out", mine.toString());
    refused("was not made by pack.sh", "--out", "/");
    refused("is a file", "--out", mine.resolve("torch").toString());
    refused("--out must be a folder", "--out", "");
    refused("without colons", "--out", "a:b");
    refused("--out must be", "--out", "a\u001b[31m");
    try (Stream<Path> left = Files.walk(mine)) {
      assertEquals(4, left.count());
    }
    assertFalse(Files.exists(Path.of("/rival")));
  }

  @Test
  void piecesAreMegabytesAndFewerThanAThousand() throws Exception {
    for (String size : List.of("1", "60k", "0M", "99999999999G", "-1M", "M", "1M;true")) {
      refused("--pieces must be a size", "--pieces", size);
    }
    try (RandomAccessFile large =
        new RandomAccessFile(
            home.resolve("flink-jobs/cli/target/distribution/lib/large.jar").toFile(), "rw")) {
      large.setLength(2L << 30);
    }
    refused("more than 999 pieces", "--out", "large", "--pieces", "1M");
    assertFalse(Files.exists(directory.resolve("large.tar.000")));
  }

  @Test
  void unknownArgumentsAreRefused() throws Exception {
    refused("--torch must be cuda or cpu, not 'rocm'", "--torch", "rocm");
    refused("unknown argument", "\u001b[31m");
    refused("--out needs a value", "--out");
  }
}
