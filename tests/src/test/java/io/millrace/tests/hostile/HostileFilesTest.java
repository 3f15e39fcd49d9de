package io.millrace.tests.hostile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.Millrace;
import io.millrace.connectors.broker.EmbeddedBroker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Hostile files, directories, configurations and arguments through the commands: each is refused
 * with one clear line, soon, and without harm to the terminal.
 */
class HostileFilesTest {

  private static final Duration SOON = Duration.ofSeconds(30);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static String model;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    model = directory.resolve("model").toString();
    Path texts = write("t.jsonl", "{\"text\": \"flour and water\"}\n");
    assertEquals(0, run("init", "--texts", texts.toString(), "--out", model).code());
    assertEquals(0, run("topics", "--create", "--bootstrap-servers", kafka()).code());
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  private static String kafka() {
    return broker.bootstrapServers();
  }

  private static Path write(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private static Path write(String name, byte[] content) throws IOException {
    return Files.write(directory.resolve(name), content);
  }

  private record Outcome(int code, String error) {}

  private static Outcome run(String... arguments) {
    ByteArrayOutputStream error = new ByteArrayOutputStream();
    PrintStream stderr = System.err;
    try (PrintStream captured = new PrintStream(error, true, StandardCharsets.UTF_8)) {
      System.setErr(captured);
      int code =
          assertTimeoutPreemptively(
              SOON,
              () ->
                  Millrace.commandLine()
                      .setErr(new PrintWriter(captured, true, StandardCharsets.UTF_8))
                      .execute(arguments),
              () -> String.join(" ", arguments));
      return new Outcome(code, error.toString(StandardCharsets.UTF_8));
    } finally {
      System.setErr(stderr);
    }
  }

  /** The command refuses, and its errors contain a text. */
  private static void refuses(String problem, String... arguments) {
    Outcome outcome = run(arguments);
    String what = String.join(" ", arguments) + ": " + outcome.error();
    assertEquals(2, outcome.code(), what);
    assertTrue(outcome.error().contains(problem), what);
    assertTrue(
        outcome.error().lines().filter(line -> line.startsWith("millrace: ")).count() <= 60, what);
    assertFalse(outcome.error().contains("\tat "), what);
    assertFalse(
        outcome.error().chars().anyMatch(c -> Character.isISOControl(c) && c != '\n'), what);
  }

  private static String prompt(String id, String text) {
    return "{\"promptId\": \"%s\", \"dialogue\": [{\"role\": \"USER\", \"content\": \"%s\"}]}\n"
        .formatted(id, text);
  }

  private static void refusesPrompts(String problem, Path file) {
    refuses(
        problem, "produce", "prompts", "--file", file.toString(), "--bootstrap-servers", kafka());
  }

  @Test
  void linesOfFiles() throws Exception {
    String good = prompt("p1", "Hi");
    refusesPrompts(
        "line 2: ",
        write("latin1", (good + prompt("p2", "caf\u00e9")).getBytes(StandardCharsets.ISO_8859_1)));
    refusesPrompts("line 1: ", write("surrogate", prompt("p1", "\\ud800")));
    refusesPrompts("line 1: ", write("twice", "{\"promptId\": \"a\", " + good.substring(1)));
    refusesPrompts("line 1: ", write("escape", good.replace("promptId", "\\u001b[2Jid")));
    refusesPrompts("line 1: ", write("deep", "[".repeat(200_000)));
    refusesPrompts("line 1: ", write("number", good.replace("\"p1\"", "1" + "0".repeat(100_000))));
    refusesPrompts("line 1: ", write("blank", prompt("p1", " \\t")));
    refusesPrompts("line 1: ", write("id", prompt("x".repeat(100_000), "Hi")));
    refusesPrompts("does not exist", directory.resolve("none"));
    refusesPrompts("device", Path.of("/dev/zero"));
    refusesPrompts("is a directory", directory);
    assertEquals(
        0,
        run(
                "produce",
                "prompts",
                "--file",
                write("bom", "\ufeff" + good).toString(),
                "--bootstrap-servers",
                kafka())
            .code(),
        "a byte order mark is fine");
  }

  @Test
  void oneEndlessLineInAGzip() throws Exception {
    Path file = directory.resolve("bomb.jsonl.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      byte[] spaces = "x".repeat(1 << 20).getBytes(StandardCharsets.UTF_8);
      for (int i = 0; i < 600; i++) {
        out.write(spaces);
      }
    }
    Outcome outcome =
        run(
            "import",
            "hh-rlhf",
            file.toString(),
            "--objective",
            "safety",
            "--bootstrap-servers",
            kafka());
    assertEquals(2, outcome.code(), outcome.error());
    assertTrue(
        outcome.error().contains("more than 300 times as large as the compressed file"),
        outcome.error());
  }

  /** A copy of the model with one file changed. */
  private static String changed(String name, String file, byte[] content) throws IOException {
    Path copy = Files.createDirectory(directory.resolve("model-" + name));
    try (var files = Files.list(Path.of(model))) {
      // Without the manifest, whose digests would find every change.
      for (Path each : files.filter(path -> !path.endsWith("millrace.json")).toList()) {
        Files.copy(each, copy.resolve(each.getFileName()));
      }
    }
    Files.write(copy.resolve(file), content);
    return copy.toString();
  }

  private static String changed(String name, String file, String content) throws IOException {
    return changed(name, file, content.getBytes(StandardCharsets.UTF_8));
  }

  private static String withTemplate(String name, String template) throws IOException {
    ObjectNode config =
        (ObjectNode) JSON.readTree(Path.of(model, "tokenizer_config.json").toFile());
    return changed(name, "tokenizer_config.json", config.put("chat_template", template).toString());
  }

  private static String withConfig(String name, String key, long value) throws IOException {
    ObjectNode config = (ObjectNode) JSON.readTree(Path.of(model, "config.json").toFile());
    return changed(name, "config.json", config.put(key, value).toString());
  }

  private static void refusesModel(String problem, String path) {
    refuses(problem, "checkpoint", "verify", "--without-manifest", path);
    refuses(problem, "generate", "--checkpoint", path, "--prompt", "Hi");
    refuses(problem, "check", "rollout", "--set", "model.initial=" + path);
  }

  @Test
  void modelDirectories() throws Exception {
    byte[] header = new byte[64];
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(1L << 60);
    refusesModel("above the format's limit", changed("header", "model.safetensors", header));
    refusesModel("too short", changed("cut", "model.safetensors", new byte[3]));
    refusesModel("[273, 2147483647]", withConfig("hidden", "hidden_size", Integer.MAX_VALUE));
    refusesModel("vocab_size", withConfig("vocabulary", "vocab_size", -1));
    refusesModel("num_hidden_layers", withConfig("layers", "num_hidden_layers", 1L << 40));
    refusesModel("not JSON", changed("no-json", "tokenizer.json", "not JSON"));
    refusesModel("nesting", changed("nested", "tokenizer.json", "[".repeat(100_000)));
    Path link = Path.of(changed("link", "config.json", "{}")).resolve("config.json");
    Files.delete(link);
    Files.createSymbolicLink(link, Path.of("/dev/zero"));
    refusesModel("a pipe or a device", link.getParent().toString());
  }

  @Test
  void chatTemplates() throws Exception {
    String loop =
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x"
            + "{% endfor %}{% endfor %}{% endfor %}";
    String doubling =
        "{% set l = [1] %}{% for i in range(60) %}{% set l = l + l %}{% endfor %}{{ l }}";
    String deep = "{% if a %}".repeat(20_000) + "{% endif %}".repeat(20_000);
    for (String template : List.of(loop, doubling, deep, "{{ messages.__class__ }}", "")) {
      String path = withTemplate("template-" + template.length(), template);
      refuses("template", "generate", "--checkpoint", path, "--prompt", "Hi");
      refuses("template", "check", "rollout", "--set", "model.initial=" + path);
    }
  }

  private static void refusesConfig(String problem, String content) throws IOException {
    refuses(problem, "check", "--config", write("config.yaml", content).toString());
  }

  @Test
  void configurations() throws Exception {
    StringBuilder aliases = new StringBuilder("a0: &a0 [x]\n");
    for (int i = 1; i < 40; i++) {
      aliases.append("a%d: &a%d [*a%d, *a%d]\n".formatted(i, i, i - 1, i - 1));
    }
    refusesConfig("aliases", aliases.toString());
    refusesConfig("Nesting", "ppo: " + "[".repeat(50_000));
    refusesConfig("tag", "ppo: {kl: !!java.lang.ProcessBuilder [x]}");
    refusesConfig("ppo.kl", "ppo: {kl: 1e300}");
    refusesConfig("ppo.kll", "ppo: {kll: 1}");
    refusesConfig("twice", "ppo: {kl: 0.1, kl: 0.2}");
    refusesConfig("special characters", "\u0000");
    refusesConfig("TAB", "ppo:\n\t- x");
    refusesConfig("model.name", "model: {name: ../../etc}");
    refusesConfig("model.name", "model: {name: \"a\\u001b[2J\"}");
    refusesConfig("flink.parallelism", "flink: {parallelism: 100000}");
    refuses("device", "check", "--config", "/dev/zero");
    refuses("kafka.properties", "check", "--set", "kafka.properties.a=${file:/dev/zero}");
    refuses("kafka.properties", "check", "--set", "kafka.properties.a=${env:MILLRACE_NOT_SET}");
  }

  @Test
  void argumentsAndServicesThatAreAway() {
    refuses(
        "--max-tokens",
        "generate",
        "--checkpoint",
        model,
        "--prompt",
        "a",
        "--max-tokens",
        "1000000000");
    refuses("--temperature", "chat", "--checkpoint", model, "--temperature", "NaN");
    refuses("'\\u001b[2J'", "deadletters", "show", "\u001b[2J");
    refuses("VERSION", "promote", "-1", "--reason", "r");
    refuses("unknown topic", "consume", "../etc");
    refuses("no cluster", "status", "--cluster", directory.resolve("none").toString());
    refuses("127.0.0.1:1", "status", "--rest", "http://127.0.0.1:1");
  }
}
