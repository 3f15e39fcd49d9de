package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Model directories and arguments that harm neither the machine nor the terminal. */
class ForeignFilesTest {
  @TempDir Path directory;
  private String model;

  private record Outcome(int code, String error) {}

  private static Outcome run(String... arguments) {
    StringWriter error = new StringWriter();
    return assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () -> {
          int code = Millrace.commandLine().setErr(new PrintWriter(error)).execute(arguments);
          return new Outcome(code, error.toString());
        });
  }

  private static void refuses(String problem, String... arguments) {
    Outcome outcome = run(arguments);
    assertEquals(2, outcome.code(), outcome.error());
    assertTrue(outcome.error().contains(problem), outcome.error());
  }

  private String texts() throws Exception {
    return Files.write(directory.resolve("t.jsonl"), List.of("{\"text\": \"flour and water\"}"))
        .toString();
  }

  @BeforeEach
  void make() throws Exception {
    model = directory.resolve("model").toString();
    String[] init = {"init", "--texts", texts(), "--out", model};
    assertEquals(0, run(init).code());
  }

  @Test
  void verifyIsStrict() throws Exception {
    String[] verify = {"checkpoint", "verify", model};
    assertEquals(0, run(verify).code());
    Path tokenizer = Path.of(model, "tokenizer.json");
    String sound = Files.readString(tokenizer);
    Files.delete(Path.of(model, "millrace.json"));
    assertEquals(2, run(verify).code());
    String[] rest = {"checkpoint", "verify", model, "--without-manifest"};
    assertEquals(0, run(rest).code());
    Files.writeString(tokenizer, "not JSON");
    assertEquals(2, run(rest).code());
    Files.writeString(tokenizer, sound);
    Path config = Path.of(model, "tokenizer_config.json");
    Files.writeString(config, Files.readString(config).replace("{% set", "{% for i in x %}{% set"));
    assertEquals(2, run(rest).code());
  }

  @Test
  void exportFollowsNoLinkOutOfTheDirectory() throws Exception {
    Path secret = Files.writeString(directory.resolve("secret"), "s3cret");
    String out = directory.resolve("out").toString();
    for (String name : new String[] {"LICENSE", "tokenizer.model", "notes"}) {
      Path link = Files.createSymbolicLink(Path.of(model, name), secret);
      refuses("is a link to " + secret.toRealPath(), "checkpoint", "export", model, "--out", out);
      assertFalse(Files.exists(Path.of(out)));
      Files.delete(link);
    }
    // As in the cache of Hugging Face: snapshots/ID/file links to blobs/digest.
    Path snapshot = Files.createDirectories(directory.resolve("hub/snapshots/1"));
    Path blobs = Files.createDirectories(directory.resolve("hub/blobs"));
    try (var files = Files.list(Path.of(model))) {
      for (Path file : files.toList()) {
        Path blob = blobs.resolve("b" + file.getFileName());
        Files.copy(file, blob);
        Files.createSymbolicLink(snapshot.resolve(file.getFileName()), blob);
      }
    }
    String[] export = {"checkpoint", "export", snapshot.toString(), "--out", out};
    assertEquals(0, run(export).code(), () -> run(export).error());
  }

  @Test
  void pipesAndDevicesAreNotRead() throws Exception {
    String[] files = {
      "tokenizer.json", "config.json", "generation_config.json", "model.safetensors"
    };
    for (String name : files) {
      Path file = Path.of(model, name);
      Path kept = Files.move(file, directory.resolve(name));
      assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
      refuses("a pipe or a device", "generate", "--checkpoint", model, "--prompt", "hi");
      Files.delete(file);
      Files.move(kept, file);
    }
    refuses(
        "a pipe or a device", "init", "--config", "/dev/zero", "--texts", texts(), "--out", "o");
  }

  /** Every file that a command reads, beside the files of a model. */
  @Test
  void pipesDevicesAndFilesThatAreTooLargeAreRefusedByName() throws Exception {
    Path pipe = directory.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Path home = Files.createDirectories(directory.resolve("home"));
    // The template of a published checkpoint cannot be set.
    Files.delete(Path.of(model, "millrace.json"));
    for (String file : List.of(pipe.toString(), "/dev/zero")) {
      String refused = file + ": is a pipe or a device";
      String out = directory.resolve("new").toString();
      refuses(refused, "init", "--texts", file, "--out", out);
      refuses(refused, "produce", "prompts", "--file", file, "--bootstrap-servers", "127.0.0.1:1");
      refuses(
          refused,
          "import",
          "hh-rlhf",
          file,
          "--objective",
          "safety",
          "--bootstrap-servers",
          "127.0.0.1:1");
      refuses(
          refused,
          "check",
          "supervised",
          "--set",
          "model.initial=" + model,
          "--set",
          "supervised.file=" + file);
      refuses("a file of at most", "checkpoint", "set-template", model, "--form", file);
      Path ports = home.resolve("cluster.json");
      Files.createSymbolicLink(ports, Path.of(file));
      refuses(ports + ": is a pipe or a device", "status", "--cluster", home.toString());
      Files.delete(ports);
    }
    Path large = home.resolve("cluster.json");
    try (RandomAccessFile file = new RandomAccessFile(large.toFile(), "rw")) {
      file.setLength(1L << 32);
    }
    refuses(large + ": has more than", "status", "--cluster", home.toString());
    refuses("a file of at most", "checkpoint", "set-template", model, "--form", large.toString());
  }

  @Test
  void responsesHaveALimit() {
    String[] generate = {"generate", "--checkpoint", model, "--prompt", "hi", "--max-tokens", ""};
    generate[6] = "1000000000";
    refuses("--max-tokens must be from 1 to 1048576", generate);
    generate[6] = "1000000";
    refuses("but the model has 4096 positions", generate);
    refuses("must be from 1 to 1048576", "bench", "generate", "--max-tokens", "1000000000");
    refuses("must be from 1 to 1048576", "bench", "generate", "--batch", "1000000000");
    generate[4] = "x" + " ".repeat(3_000_000);
    refuses("is longer than", generate);
  }

  @Test
  void messagesHaveNoControlCharacters() {
    for (String attack : new String[] {"x\u001b[2Jx", "x\u009b2Jx", "x\u0007", "x\ny"}) {
      for (String[] arguments :
          new String[][] {
            {attack},
            {"checkpoint", "inspect", attack},
            {"checkpoint", "verify", attack},
            {"generate", "--checkpoint", model, "--prompt", "hi", "--max-tokens", attack},
            {"run", attack}
          }) {
        String error = run(arguments).error();
        assertFalse(
            error.replace("\n", "").chars().anyMatch(Character::isISOControl),
            () -> String.join(" ", arguments));
        assertEquals(1, error.lines().count(), error);
      }
    }
  }
}
