package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Bad input to every command: one clear line, exit code 2, no stack trace. */
class BadInputTest {

  @TempDir Path directory;

  private record Outcome(int code, String error) {}

  private static Outcome run(String... arguments) {
    StringWriter error = new StringWriter();
    CommandLine commandLine = Millrace.commandLine().setErr(new PrintWriter(error));
    int code = commandLine.execute(arguments);
    return new Outcome(code, error.toString());
  }

  private static void assertRefused(String expected, String... arguments) {
    Outcome outcome = run(arguments);
    String what = String.join(" ", arguments) + ": " + outcome.error();
    assertEquals(2, outcome.code(), what);
    assertEquals(1, outcome.error().lines().count(), what);
    assertTrue(outcome.error().startsWith("millrace: "), what);
    assertTrue(outcome.error().contains(expected), what);
    assertFalse(outcome.error().contains("\tat "), what);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "quickstart",
        "campaign",
        "report",
        "broker",
        "topics",
        "produce",
        "consume",
        "import",
        "import hh-rlhf",
        "run",
        "cluster",
        "submit",
        "status",
        "savepoint",
        "stop",
        "generate",
        "logprobs",
        "checkpoint",
        "checkpoint inspect",
        "checkpoint verify",
        "checkpoint export",
        "doctor"
      })
  void everyCommandHasHelpWithAnExampleAndRefusesUnknownOptions(String command) {
    String[] words = command.split(" ");
    StringWriter out = new StringWriter();
    String[] help = Arrays.copyOf(words, words.length + 1);
    help[words.length] = "--help";
    int code = Millrace.commandLine().setOut(new PrintWriter(out)).execute(help);
    assertEquals(0, code);
    assertTrue(out.toString().contains("Example"), out.toString());
    assertTrue(out.toString().contains("millrace " + words[0]), out.toString());

    String[] unknown = Arrays.copyOf(words, words.length + 1);
    unknown[words.length] = "--no-such-option";
    Outcome outcome = run(unknown);
    assertEquals(2, outcome.code());
    assertEquals(1, outcome.error().lines().count(), outcome.error());
  }

  @Test
  void commandsAndNamesThatDoNotExistGetASuggestion() {
    assertRefused("quickstart", "quickstrat");
    assertRefused("did you mean reward-model?", "run", "reward-modle");
    assertRefused("judgments", "consume", "judgement");
    assertRefused("prompts", "produce", "promts", "--file", "-");
  }

  @Test
  void valuesOutOfRangeAreToldBeforeAnyWork() {
    assertRefused("--limit", "consume", "prompts", "--limit", "0");
    assertRefused("--iterations", "quickstart", "--iterations", "0");
    assertRefused("--seed", "quickstart", "--seed", "x");
    assertRefused("--partitions", "topics", "--partitions", "0");
    assertRefused("cannot write", "quickstart", "--report", directory.resolve("no/r.json") + "");
    assertRefused("ppo.kl must be", "run", "ppo", "--set", "ppo.kl=x");
    assertRefused("config", "run", "ppo", "--config", directory.resolve("no.yaml").toString());
    String here = directory.toString();
    assertRefused("--dtype is int8", "checkpoint", "export", here, "--out", "x", "--dtype", "int8");
    for (String size : List.of("0", "5 apples", "-1GB", "GB")) {
      assertRefused(
          "--max-shard-size is " + size,
          "checkpoint",
          "export",
          here,
          "--out",
          "x",
          "--max-shard-size=" + size);
    }
    assertRefused("port", "broker", "--port", "99999", "--data", directory.toString());
  }

  @Test
  void filesAndDirectoriesThatAreNotThereAreNamed() {
    String missing = directory.resolve("missing").toString();
    assertRefused(missing, "produce", "prompts", "--file", missing);
    assertRefused(missing, "import", "hh-rlhf", missing, "--objective", "safety");
    assertRefused(missing, "generate", "--checkpoint", missing, "--prompt", "hi");
    assertRefused(missing, "logprobs", "--checkpoint", missing, "--tokens", "1,2");
    assertRefused(missing, "checkpoint", "inspect", missing);
    assertRefused(missing, "checkpoint", "verify", missing);
    assertRefused(missing, "checkpoint", "export", missing, "--out", missing + "-out");
    assertRefused(missing, "run", "ppo", "--set", "model.initial=" + missing);
  }

  @Test
  void hostileCheckpointsAreRefused() throws Exception {
    Files.writeString(directory.resolve("config.json"), "{\"model_type\":\"llama\"}");
    Files.write(
        directory.resolve("model.safetensors"), new byte[] {-1, -1, -1, -1, -1, -1, -1, 127});
    for (List<String> command :
        List.of(
            List.of("checkpoint", "inspect"),
            List.of("generate", "--prompt", "hi", "--checkpoint"),
            List.of("logprobs", "--tokens", "1,2", "--checkpoint"))) {
      String[] arguments = new String[command.size() + 1];
      command.toArray(arguments);
      arguments[command.size()] = directory.toString();
      assertRefused(directory.toString(), arguments);
    }
    assertEquals(2, run("checkpoint", "verify", directory.toString()).code());
  }

  @Test
  void linesThatAreNoRecordAreToldWithTheirNumber() throws Exception {
    Path file = directory.resolve("prompts.jsonl");
    Files.writeString(file, "{\"promptId\": 7}\n");
    assertRefused("line 1", "produce", "prompts", "--file", file.toString());
  }

  @Test
  void textThatIsNotUtf8IsToldWithItsLineAndAByteOrderMarkIsSkipped() throws Exception {
    Path file = directory.resolve("prompts.jsonl");
    Files.write(file, "\n{\"promptId\":\"Grüße\"}\n".getBytes(StandardCharsets.ISO_8859_1));
    assertRefused("not UTF-8", "produce", "prompts", "--file", file.toString());
    Files.writeString(file, "\uFEFF{\"promptId\":\"p\"}\n");
    assertRefused("missing field", "produce", "prompts", "--file", file.toString());
    Path yaml = directory.resolve("latin1.yaml");
    Files.write(yaml, "model: {name: Grüße}".getBytes(StandardCharsets.ISO_8859_1));
    assertRefused("not UTF-8", "run", "ppo", "--config", yaml.toString());
  }

  @Test
  void kafkaThatCannotBeReachedByWhatWasGivenIsNamed() {
    assertRefused("nohost.invalid:1", "topics", "--bootstrap-servers", "nohost.invalid:1");
    assertRefused("security.protocol", "topics", "--kafka-property", "security.protocol=X");
    assertRefused("kafka.properties.acks", "topics", "--kafka-property", "acks=0");
  }

  @Test
  void directoriesThatCannotBeMadeAreToldBeforeAnyWork() throws Exception {
    String inFile = Files.createFile(directory.resolve("file")).resolve("below").toString();
    assertRefused(inFile, "run", "ppo", "--set", "checkpoints.directory=" + inFile);
    assertRefused(inFile, "run", "ppo", "--set", "flink.state-directory=" + inFile);
  }

  @Test
  void commandsToAClusterSayHowToStartOne() {
    String none = directory.resolve("none").toString();
    assertRefused("millrace cluster --dir " + none, "status", "--cluster", none);
    assertRefused("millrace cluster --dir " + none, "submit", "ppo", "--cluster", none);
    assertRefused("is the cluster running?", "stop", "ppo", "--rest", "http://127.0.0.1:1");
    assertRefused("must be like http://", "savepoint", "ppo", "--rest", "localhost:8081");
  }

  @Test
  void aClusterIsRefusedByTheOptionThatIsWrong() {
    String dir = directory.resolve("cluster").toString();
    assertRefused(
        "task-managers must be at least 1", "cluster", "--dir", dir, "--task-managers", "0");
    assertRefused("--kafka-port must be", "cluster", "--dir", dir, "--kafka-port", "70000");
    assertRefused(
        "--tensor-memory must be a size", "cluster", "--dir", dir, "--tensor-memory", "much");
    assertRefused(
        "memory sizes (--task-manager-memory",
        "cluster",
        "--dir",
        dir,
        "--task-manager-memory",
        "200mb",
        "--rest-port",
        "0",
        "--kafka-port",
        "0",
        "--zookeeper-port",
        "0",
        "--metrics-port",
        "0");
  }

  @Test
  void campaignsAndReportsTellWhatIsWrongBeforeAnyWork() throws Exception {
    String missing = directory.resolve("missing").toString();
    String out = directory.resolve("r.html").toString();
    assertRefused(
        "campaign.versions must be a whole number from 1 to 1000, not '0'", "campaign", "--set", "campaign.versions=0");
    assertRefused("did you mean campaign.versions?", "campaign", "--set", "campaign.version=3");
    assertRefused("demo, external", "campaign", "--set", "campaign.annotators=people");
    assertRefused("--seed", "campaign", "--seed", "x");
    assertRefused(missing, "campaign", "--config", missing);
    assertRefused(missing, "campaign", "--set", "model.initial=" + missing);
    Path notDirectory = Files.writeString(directory.resolve("file"), "");
    assertRefused("campaign.directory", "campaign", "--set", "campaign.directory=" + notDirectory);
    Path record = directory.resolve("campaign.json");
    Files.writeString(record, "{\"format\": 7}");
    assertRefused("format", "campaign", "--set", "campaign.directory=" + directory);
    assertEquals("{\"format\": 7}", Files.readString(record));

    assertRefused("--out", "report", "--campaign", missing);
    assertRefused("give one of", "report", "--out", out);
    assertRefused(
        "give one of", "report", "--campaign", missing, "--quickstart", missing, "--out", out);
    assertRefused("there is no campaign", "report", "--campaign", missing, "--out", out);
    assertRefused(missing, "report", "--quickstart", missing, "--out", out);
    assertRefused(
        "cannot write", "report", "--quickstart", record.toString(), "--out", missing + "/r.html");
    assertRefused("no report", "report", "--quickstart", record.toString(), "--out", out);
    assertRefused("host:port", "report", "--bootstrap-servers", "nonsense", "--out", out);
    assertFalse(Files.exists(Path.of(out)));
  }
}
