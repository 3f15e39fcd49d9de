package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The help of every command, and bad input: one clear line, exit code 2, no stack trace. */
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

  @Test
  void enginesAreNamedByKindAndAddress() {
    assertRefused("notify.endpoints is empty; name the engines", "notify", "--once");
    assertRefused(
        "it must be vllm, vllm-sleep or sglang and an address",
        "notify",
        "--set",
        "notify.endpoints.a=tgi http://gpu1:8000");
    assertRefused(
        "the environment variable 'MILLRACE_NO_SUCH_KEY', which is not set here",
        "notify",
        "--set",
        "notify.endpoints.a=vllm http://gpu1:8000",
        "--set",
        "notify.api-keys.a=${env:MILLRACE_NO_SUCH_KEY}");
    assertRefused(
        "api-keys has the engine 'b', which endpoints has not",
        "notify",
        "--set",
        "notify.api-keys.b=k");
  }

  @Test
  void aPlanIsForSomeUpdaters() {
    assertRefused("--updaters must be from 1 to 64, not 65", "plan", "--model=x", "--updaters=65");
    assertRefused(
        "--shard-optimizer needs --updaters of at least 2",
        "plan",
        "--model=x",
        "--shard-optimizer");
  }

  /** Every command as its words, such as "checkpoint inspect". */
  static Stream<String> commands() {
    return subcommands(Millrace.commandLine(), "").stream();
  }

  private static List<String> subcommands(CommandLine parent, String prefix) {
    List<String> found = new ArrayList<>();
    parent
        .getSubcommands()
        .forEach(
            (name, command) -> {
              if (!name.equals("help")) {
                found.add(prefix + name);
                found.addAll(subcommands(command, prefix + name + " "));
              }
            });
    return found;
  }

  private static String help(String command) {
    StringWriter out = new StringWriter();
    List<String> words = new ArrayList<>(List.of(command.split(" ")));
    words.add("--help");
    CommandLine millrace = Millrace.commandLine().setOut(new PrintWriter(out));
    assertEquals(0, millrace.execute(words.toArray(String[]::new)));
    return out.toString();
  }

  @Test
  void thereAreAllCommands() {
    List<String> commands = commands().toList();
    assertTrue(
        commands.containsAll(
            List.of("run", "cluster", "checkpoint export", "bench update", "import", "export")),
        commands.toString());
    assertTrue(commands.size() > 30, commands.toString());
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandHasADescriptionAndAnExample(String command) {
    String help = help(command);
    assertTrue(help.contains("Example"), help);
    String example = help.substring(help.indexOf("Example"));
    assertTrue(example.contains("millrace " + command.split(" ")[0]), help);
    assertFalse(help.matches("(?is).*\\b(tells?|told)\\b.*"), help);
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyOptionIsDescribedWithItsDefault(String command) {
    CommandLine found = Millrace.commandLine();
    for (String word : command.split(" ")) {
      found = found.getSubcommands().get(word);
    }
    found
        .getCommandSpec()
        .options()
        .forEach(
            option -> {
              String text = String.join(" ", option.description());
              assertTrue(text.length() > 5, option.longestName() + ": " + text);
              if (option.defaultValue() != null && !option.defaultValue().equals("false")) {
                assertTrue(text.contains("(default: "), option.longestName() + ": " + text);
              }
            });
    found
        .getCommandSpec()
        .positionalParameters()
        .forEach(parameter -> assertTrue(parameter.description()[0].length() > 5));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandRefusesUnknownOptionsInOneLine(String command) {
    List<String> words = new ArrayList<>(List.of(command.split(" ")));
    words.add("--no-such-option");
    Outcome outcome = run(words.toArray(String[]::new));
    assertEquals(2, outcome.code());
    assertEquals(1, outcome.error().lines().count(), outcome.error());
    assertTrue(outcome.error().contains("millrace " + command + " --help"), outcome.error());
  }

  @Test
  void schemasNeedADirectory() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "");
    assertRefused("--out must be a directory", "schemas", "--out", file.toString());
    Path schemas = directory.resolve("new/schemas");
    assertEquals(0, run("schemas", "--out", schemas.toString()).code());
    assertTrue(Files.exists(schemas.resolve("index.json")));
    assertTrue(Files.exists(schemas.resolve("prompts.avsc")));
  }

  /** Kafka's clients need 20 seconds to find out. */
  @Test
  void aPortWithoutKafkaIsNamedAtOnce() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    String servers = "127.0.0.1:" + port;
    Path file =
        Files.writeString(
            directory.resolve("records.jsonl"),
            "{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}\n");
    String expected =
        "nothing listens at %s; start a Kafka with './millrace broker', or name yours with "
            .formatted(servers);
    for (String command :
        List.of(
            "topics",
            "produce prompts --file " + file,
            "consume prompts",
            "import hh-rlhf %s --objective safety".formatted(file),
            "deadletters list",
            "deadletters show 0/1",
            "deadletters resend --all",
            "report --out " + directory.resolve("report.html"))) {
      String[] words = (command + " --bootstrap-servers " + servers).split(" ");
      assertRefused(expected + "--bootstrap-servers", words);
    }
    for (String command : List.of("promote 1 --reason r", "rollback --reason r")) {
      String[] words =
          "%s --set kafka.bootstrap-servers=%s --set checkpoints.directory=%s --set flink.state-directory=%s"
              .formatted(
                  command, servers, directory.resolve("checkpoints"), directory.resolve("flink"))
              .split(" ");
      assertRefused(expected + "kafka.bootstrap-servers", words);
    }
    assertRefused("there is no cluster in nowhere", "topics", "--cluster", "nowhere");
    assertRefused("not both", "topics", "--cluster", "nowhere", "--bootstrap-servers", servers);
  }

  /** Java takes an empty path for the current directory. */
  @Test
  void anEmptyPathIsRefused() {
    for (String[] arguments :
        List.of(
            new String[] {"chat", "--checkpoint", ""},
            new String[] {"generate", "--checkpoint", "", "--prompt", "hi"},
            new String[] {"logprobs", "--checkpoint", "", "--tokens", "1,2"},
            new String[] {"checkpoint", "verify", ""},
            new String[] {"checkpoint", "export", "", "--out", "x"},
            new String[] {"schemas", "--out", ""},
            new String[] {"produce", "prompts", "--file", ""},
            new String[] {"check", "ppo", "--config", ""})) {
      assertRefused(" is empty; name ", arguments);
    }
  }

  @Test
  void helpKnowsCommandsBelowCommands() {
    CommandRun help = CommandRun.of("help", "deadletters", "resend");
    assertEquals(0, help.code());
    assertEquals(help("deadletters resend"), help.out());
    assertTrue(CommandRun.of("help").out().contains("quickstart"));
    assertRefused(
        "millrace deadletters has no command 'resnd'; did you mean resend?",
        "help",
        "deadletters",
        "resnd");
  }

  /** A job may start from random weights, but not by mistake. */
  @Test
  void aJobWithoutAnInitialModelSaysSo() {
    CommandRun run =
        CommandRun.of(
            "run",
            "rollout",
            "--set",
            "kafka.bootstrap-servers=127.0.0.1:1",
            "--set",
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "--set",
            "flink.state-directory=" + directory.resolve("flink"));
    assertEquals(2, run.code());
    List<String> lines = run.error().lines().toList();
    assertTrue(lines.get(0).startsWith("millrace: model.initial is empty: the job starts"));
    assertTrue(lines.get(1).contains("or name yours with kafka.bootstrap-servers"), run.error());
  }

  @Test
  void misspeltNamesGetASuggestion() {
    assertRefused("quickstart", "quickstrat");
    assertRefused("did you mean reward-model?", "run", "reward-modle");
    assertRefused("JOB must be a job of Millrace, not 'x'; the jobs are supervised", "run", "x");
    assertRefused("judgments", "consume", "judgement");
    assertRefused("prompts", "produce", "promts", "--file", "-");
  }

  @Test
  void valuesOutOfRangeAreReportedBeforeTheWork() {
    assertRefused("--limit must be at least 1, not 0", "consume", "prompts", "--limit", "0");
    assertRefused("--iterations must be at least 1, not 0", "quickstart", "--iterations", "0");
    assertRefused("--seed", "quickstart", "--seed", "x");
    assertRefused("--world", "quickstart", "--world", "soft");
    assertRefused("--adversarial 0.1 needs --world hard", "quickstart", "--adversarial", "0.1");
    assertRefused(
        "--adversarial must be from 0 to 0.5, not 0.6",
        "quickstart",
        "--world",
        "hard",
        "--adversarial",
        "0.6");
    assertRefused("--partitions must be at least 1, not 0", "topics", "--partitions", "0");
    assertRefused("--replication must be from 1 to 32767", "topics", "--replication", "40000");
    String here = directory.toString();
    String report = directory.resolve("no/r.json").toString();
    assertRefused(
        "--report must be a file in a writable directory, not " + report,
        "quickstart",
        "--report",
        report);
    assertRefused("ppo.kl must be a number from 0", "run", "ppo", "--set", "ppo.kl=x");
    assertRefused("ppo.clip must be a number above 0", "run", "ppo", "--set", "ppo.clip=2");
    assertRefused("config", "run", "ppo", "--config", directory.resolve("no.yaml").toString());
    assertRefused(
        "--dtype must be bfloat16 or float32, not 'int8'",
        "checkpoint",
        "export",
        here,
        "--out",
        "x",
        "--dtype",
        "int8");
    for (String size : List.of("0", "5 apples", "-1GB", "GB")) {
      assertRefused(
          "--max-shard-size must be a size above 0, such as 5GB or 500MB, not '" + size + "'",
          "checkpoint",
          "export",
          here,
          "--out",
          "x",
          "--max-shard-size=" + size);
    }
    assertRefused("--port must be from 0 to 65535, not 99999", "broker", "--port", "99999");
    assertRefused("--topic-prefix is", "broker", "--port", "0", "--topic-prefix", "../");
    assertRefused("--heads must divide --hidden 256, not 7", "bench", "generate", "--heads", "7");
    assertRefused("--kv-heads 3 must divide --heads 8", "bench", "update", "--kv-heads", "3");
    assertRefused(
        "--response must be at least 1 and below --length 16, not 16",
        "bench",
        "score",
        "--length",
        "16",
        "--response",
        "16",
        "--hidden",
        "16",
        "--layers",
        "1");
    assertRefused("--rank must be from 1 to 1024", "bench", "adapters", "--rank", "1025");
    assertRefused(
        "--base is for --merge", "checkpoint", "export", "x", "--out", "y", "--base", "z");
    assertRefused("--out must not exist", "init", "--texts", emptyFile(), "--out", here);
  }

  /** Sampling takes minutes: what cannot be written is refused before it, and input is kept. */
  @Test
  void ghostAttentionWritesOverNoInput() throws IOException {
    Path dialogues = Files.writeString(directory.resolve("dialogues"), "{}");
    String other = emptyFile();
    String[] build = {
      "ghost-attention",
      "build",
      "--checkpoint",
      "c",
      "--dialogues",
      dialogues.toString(),
      "--instructions",
      other,
      "--out"
    };
    assertRefused("which is read", with(build, dialogues.toString()));
    assertRefused("which is read", with(build, other));
    assertRefused("--out must be a file in a directory", with(build, directory.toString()));
    assertRefused(
        "--out must be a file in a directory", with(build, directory.resolve("no/x").toString()));
    String page = directory.resolve("page").toString();
    assertRefused(
        "must be two files",
        "ghost-attention",
        "measure",
        "--with",
        "a",
        "--without",
        "b",
        "--dialogues",
        dialogues.toString(),
        "--instructions",
        other,
        "--json",
        page,
        "--page",
        page);
    assertEquals("{}", Files.readString(dialogues));
  }

  private String emptyFile() {
    try {
      return Files.writeString(directory.resolve("empty"), "").toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void samplingOptionsAreCheckedBeforeTheCheckpointIsRead() {
    String[] generate = {"generate", "--checkpoint", "none", "--prompt", "hi"};
    assertRefused(
        "--max-tokens must be from 1 to 1048576, not 0", with(generate, "--max-tokens=0"));
    assertRefused(
        "--max-tokens must be from 1 to 1048576, not 2147483647",
        with(generate, "--max-tokens=2147483647"));
    for (String temperature : List.of("-1", "1e-9", "101", "NaN", "Infinity")) {
      assertRefused(
          "--temperature must be 0 or from 0.01 to 100, not",
          with(generate, "--temperature=" + temperature));
    }
    for (String topP : List.of("0", "1.1", "NaN")) {
      assertRefused("--top-p must be from 0.001 to 1, not", with(generate, "--top-p=" + topP));
    }
    assertRefused("--prompt must not be empty", "generate", "--checkpoint=x", "--prompt= ");
    String[] build = {
      "ghost-attention",
      "build",
      "--checkpoint=x",
      "--dialogues=x",
      "--instructions=x",
      "--out=" + directory
    };
    assertRefused("--combine must be at least 1, not 0", with(build, "--combine=0"));
    assertRefused("--temperature must be 0 or from 0.01", with(build, "--temperature=-1"));
    assertRefused("--max-tokens must be from 1 to 1048576", with(build, "--max-tokens=0"));
  }

  private static String[] with(String[] arguments, String last) {
    String[] all = Arrays.copyOf(arguments, arguments.length + 1);
    all[arguments.length] = last;
    return all;
  }

  @Test
  void missingFilesAndDirectoriesAreNamed() {
    String missing = directory.resolve("missing").toString();
    assertRefused("--file does not exist: " + missing, "produce", "prompts", "--file", missing);
    assertRefused(
        "FILE does not exist: " + missing, "import", "hh-rlhf", missing, "--objective", "safety");
    assertRefused(missing, "generate", "--checkpoint", missing, "--prompt", "hi");
    assertRefused(missing, "logprobs", "--checkpoint", missing, "--tokens", "1,2");
    assertRefused(missing, "checkpoint", "inspect", missing);
    assertRefused(missing, "checkpoint", "verify", missing);
    assertRefused(missing, "checkpoint", "export", missing, "--out", missing + "-out");
    assertRefused(missing, "run", "ppo", "--set", "model.initial=" + missing);
    assertRefused(
        "supervised.file cannot be read: " + missing,
        "run",
        "supervised",
        "--set",
        "supervised.file=" + missing);
    assertRefused("--texts cannot be read: " + missing, "init", "--texts", missing, "--out", "x");
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
  void aLineThatIsNoRecordIsReportedWithItsNumber() throws Exception {
    Path file = directory.resolve("prompts.jsonl");
    Files.writeString(file, "{\"promptId\": 7}\n");
    assertRefused("line 1", "produce", "prompts", "--file", file.toString());
  }

  @Test
  void textThatIsNotUtf8IsReportedWithItsLineAndAByteOrderMarkIsSkipped() throws Exception {
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
  void badKafkaOptionsAreNamed() {
    assertRefused("nohost.invalid:1", "topics", "--bootstrap-servers", "nohost.invalid:1");
    assertRefused("security.protocol", "topics", "--kafka-property", "security.protocol=X");
    assertRefused(
        "--bootstrap-servers must have ports from 1 to 65535, not 'a:99999'",
        "topics",
        "--bootstrap-servers",
        "a:99999");
    Outcome secret = run("topics", "--kafka-property", "security.protocol=s3cret");
    assertEquals(2, secret.code());
    assertTrue(secret.error().contains("security.protocol"), secret.error());
    assertTrue(secret.error().contains("--kafka-property"), secret.error());
    assertFalse(secret.error().contains("s3cret"), secret.error());
    assertRefused("--kafka-property acks cannot be set", "topics", "--kafka-property", "acks=0");
    assertRefused(
        "--bootstrap-servers is \"nonsense\"; it must be host:port",
        "topics",
        "--bootstrap-servers",
        "nonsense");
    assertRefused(
        "--topic-prefix is \"a/b\"; it must have at most 200 letters",
        "consume",
        "prompts",
        "--topic-prefix",
        "a/b");
  }

  @Test
  void directoriesThatCannotBeMadeAreReportedBeforeTheWork() throws Exception {
    String inFile = Files.createFile(directory.resolve("file")).resolve("below").toString();
    for (String option : List.of("checkpoints.directory", "flink.state-directory")) {
      assertRefused(
          option + " must be a writable directory, not " + inFile,
          "run",
          "ppo",
          "--set",
          "checkpoints.directory=" + directory.resolve("checkpoints"),
          "--set",
          option + "=" + inFile);
    }
  }

  @Test
  void commandsToAClusterSayHowToStartOne() {
    String none = directory.resolve("none").toString();
    assertRefused("millrace cluster --dir " + none, "status", "--cluster", none);
    assertRefused("millrace cluster --dir " + none, "submit", "ppo", "--cluster", none);
    assertRefused(
        "start the cluster with 'millrace cluster'", "stop", "ppo", "--rest", "http://127.0.0.1:1");
    assertRefused(
        "--rest must be an address like http://localhost:8081, not 'localhost:8081'",
        "savepoint",
        "ppo",
        "--rest",
        "localhost:8081");
  }

  @Test
  void badClusterOptionsAreNamed() {
    String dir = directory.resolve("cluster").toString();
    for (String count : List.of("0", "257")) {
      assertRefused(
          "--task-managers must be from 1 to 256, not " + count,
          "cluster",
          "--dir",
          dir,
          "--task-managers",
          count);
    }
    assertRefused("--slots must be from 1 to 1024, not 0", "cluster", "--dir", dir, "--slots", "0");
    assertRefused("--kafka-port must be", "cluster", "--dir", dir, "--kafka-port", "70000");
    assertRefused(
        "--tensor-memory must be a size", "cluster", "--dir", dir, "--tensor-memory", "much");
    assertRefused(
        "the sizes --task-manager-memory, --tensor-memory and --job-manager-memory do not fit",
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
  void badCampaignsAndReportsAreReportedBeforeTheWork() throws Exception {
    String missing = directory.resolve("missing").toString();
    String out = directory.resolve("r.html").toString();
    assertRefused(
        "campaign.versions must be a whole number from 1 to 1000, not '0'",
        "campaign",
        "--set",
        "campaign.versions=0");
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
        "--out must be a file in a writable directory, not " + missing + "/r.html",
        "report",
        "--quickstart",
        record.toString(),
        "--out",
        missing + "/r.html");
    assertRefused("no report", "report", "--quickstart", record.toString(), "--out", out);
    assertRefused(
        "--bootstrap-servers is \"nonsense\"; it must be host:port",
        "report",
        "--bootstrap-servers",
        "nonsense",
        "--out",
        out);
    assertFalse(Files.exists(Path.of(out)));
  }

  @Test
  void anArgumentThatBeginsWithAnAtSignIsNoFileOfArguments() throws Exception {
    Path file = Files.writeString(directory.resolve("arguments"), "ppo\n");
    assertRefused("not '@" + file + "'", "run", "@" + file);
  }

  @Test
  void filesOfMillraceThatAreDamagedAreNamedWithTheField() throws Exception {
    Path json = Files.writeString(directory.resolve("cluster.json"), "{\"rest\": 8081}");
    assertRefused("kafka is null or missing", "status", "--cluster", directory.toString());
    Files.writeString(json, "{\"rest\": -1, \"kafka\": 1, \"zookeeper\": 1, \"metrics\": []}");
    assertRefused(
        "ports must be from 1 to 65535, not -1", "status", "--cluster", directory.toString());
    String out = directory.resolve("report.html").toString();
    assertRefused(
        directory.toString(), "report", "--quickstart", directory.toString(), "--out", out);
    Path report = Files.writeString(directory.resolve("r.json"), "{\"seed\": 1}");
    assertRefused(
        "r.json is no report of a quickstart: ",
        "report",
        "--quickstart",
        report.toString(),
        "--out",
        out);
    Files.writeString(directory.resolve("campaign.json"), "{\"format\": 1}");
    assertRefused("campaign.json", "report", "--campaign", directory.toString(), "--out", out);
  }

  /** A command that needs more memory than there is. */
  @Command(name = "hungry")
  private static final class Hungry implements Callable<Integer> {
    @Override
    public Integer call() {
      return new long[Integer.MAX_VALUE - 8].length;
    }
  }

  @Test
  void aLackOfMemoryNamesTheRemedy() {
    StringWriter error = new StringWriter();
    CommandLine commandLine =
        Millrace.commandLine().addSubcommand(new Hungry()).setErr(new PrintWriter(error));
    assertEquals(1, commandLine.execute("hungry"), error.toString());
    assertTrue(error.toString().contains("raise MILLRACE_HEAP"), error.toString());
  }
}
