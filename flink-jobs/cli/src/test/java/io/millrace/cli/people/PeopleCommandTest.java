package io.millrace.cli.people;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.CommandRun;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** {@code millrace evaluation pairs} and {@code evaluation people}. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PeopleCommandTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int PROMPTS = 24;

  @TempDir static Path directory;

  private static CommandRun run(int code, String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(code, run.code(), run.error() + run.out());
    return run;
  }

  private static String path(String name) {
    return directory.resolve(name).toString();
  }

  @BeforeAll
  void policiesAndHeldOutData() throws IOException {
    Files.writeString(directory.resolve("texts.jsonl"), "{\"text\": \"flour and water\"}\n");
    for (int i = 1; i <= 2; i++) {
      run(
          0,
          "init",
          "--texts",
          path("texts.jsonl"),
          "--out",
          path("policy" + i),
          "--set",
          "model.vocab-size=300",
          "--set",
          "model.seed=" + i);
    }
    List<String> prompts = new ArrayList<>();
    List<String> demonstrations = new ArrayList<>();
    for (int i = 0; i < PROMPTS; i++) {
      prompts.add(
          JsonLines.write(
              Prompt.newBuilder()
                  .setPromptId("p" + i)
                  .setDialogue(
                      List.of(
                          new Turn(Role.SYSTEM, "Answer briefly."),
                          new Turn(Role.USER, "How much water for dish " + i + "? <b>&")))
                  .setIsSafety(i % 4 == 0)
                  .build()));
      demonstrations.add(
          "{\"prompt\": \"How much water for dish %d?\", \"completion\": \" %d cups.\\n\"}"
              .formatted(i, i));
    }
    demonstrations.add("{\"text\": \"a plain text\"}");
    Files.write(directory.resolve("prompts.jsonl"), prompts);
    Files.write(directory.resolve("demonstrations.jsonl"), demonstrations);
    run(0, pairs("v", "--other", path("policy2"), "--prompts", path("prompts.jsonl")));
  }

  private static String[] pairs(String out, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of("evaluation", "pairs", "--policy", path("policy1"), "--max-tokens", "6"));
    arguments.addAll(List.of("--out", path(out)));
    arguments.addAll(List.of(more));
    return arguments.toArray(String[]::new);
  }

  /** What only the test knows: the first policy's text of each task. */
  private static Map<String, ComparedPair> key(String out) throws IOException {
    Map<String, ComparedPair> pairs = new HashMap<>();
    for (String line : Files.readAllLines(directory.resolve(out).resolve("key.jsonl"))) {
      ComparedPair pair = ComparedPair.read(line);
      pairs.put(pair.pair(), pair);
    }
    return pairs;
  }

  private static JsonNode tasks(String out) throws IOException {
    return JSON.readTree(directory.resolve(out).resolve("tasks.json").toFile());
  }

  private static List<Turn> dialogue(JsonNode data) {
    List<Turn> turns = new ArrayList<>();
    for (JsonNode message : data.get("prompt")) {
      turns.add(
          new Turn(
              Role.valueOf(message.get("role").asText().toUpperCase(Locale.ROOT)),
              message.get("content").asText()));
    }
    return turns;
  }

  private static boolean isFirstOnTheLeft(Map<String, ComparedPair> key, JsonNode data) {
    String left = data.get("response1").asText();
    String right = data.get("response2").asText();
    boolean first = key.containsKey(ComparedPair.id(dialogue(data), left, right));
    assertTrue(first || key.containsKey(ComparedPair.id(dialogue(data), right, left)));
    return first;
  }

  private static void annotate(ObjectNode task, int annotator, boolean left, String rating) {
    ArrayNode annotations = task.withArray("/annotations");
    ObjectNode annotation = annotations.addObject();
    annotation.put("id", annotations.size());
    annotation.put("completed_by", annotator);
    annotation.put("created_at", "2026-01-0%dT00:00:00Z".formatted(annotator));
    ArrayNode result = annotation.putArray("result");
    ObjectNode pairwise = result.addObject();
    pairwise.put("type", "pairwise").put("to_name", "response1,response2");
    pairwise.putObject("value").put("selected", left ? "left" : "right");
    ObjectNode choices = result.addObject();
    choices.put("type", "choices").put("to_name", "response1");
    choices.putObject("value").putArray("choices").add(rating);
  }

  /** Two annotators prefer the first policy, one the second; the last task has two annotators. */
  private static Path judged(String out) throws IOException {
    Map<String, ComparedPair> key = key(out);
    JsonNode tasks = tasks(out);
    for (int i = 0; i < tasks.size(); i++) {
      ObjectNode task = (ObjectNode) tasks.get(i);
      boolean first = isFirstOnTheLeft(key, task.get("data"));
      annotate(task, 1, first, "Slightly better");
      annotate(task, 2, first, "Better");
      if (i < tasks.size() - 1) {
        annotate(task, 3, !first, "Significantly better");
      }
    }
    Path file = directory.resolve(out + "-judged.json");
    Files.writeString(file, tasks.toString());
    return file;
  }

  @Test
  void peoplePreferTheFirstOfTwoPolicies() throws IOException {
    int tasks = tasks("v").size();
    long settled = key("v").values().stream().filter(p -> p.settled().isPresent()).count();
    assertEquals(key("v").size(), tasks + settled);
    assertTrue(tasks > 12, "tasks " + tasks);
    String[] arguments = {
      "evaluation", "people", judged("v").toString(), "--key", path("v/key.jsonl"), "--json"
    };
    JsonNode report = JSON.readTree(run(0, arguments).out());
    JsonNode all = report.get("all");
    assertEquals(tasks - 1, all.get("wins").asInt() - settledAs("v", "first"));
    assertEquals(1, all.get("waiting").asInt());
    assertEquals(3 * tasks - 1, all.get("votes").asInt());
    assertEquals("better", all.get("verdict").asText());
    assertTrue(all.get("low").asDouble() > 0.5 && all.get("low").asDouble() < 1, all.toString());
    assertTrue(all.get("ac2").asDouble() < 0.5, all.toString());
    assertEquals(
        all.get("votes").asInt(),
        report.get("safety_prompts").get("votes").asInt()
            + report.get("other_prompts").get("votes").asInt());
    assertEquals("{}", report.get("unused_judgments").toString());

    arguments[5] = "--annotators=2";
    String text = run(0, arguments).out();
    assertTrue(text.contains("0 pairs wait for 2 annotators"), text);
    assertTrue(text.contains("is shown to be better"), text);
  }

  private static long settledAs(String out, String result) throws IOException {
    return key(out).values().stream()
        .filter(pair -> pair.settled().filter(result::equals).isPresent())
        .count();
  }

  @Test
  void tasksDoNotSayWhoseResponsesTheyHave() throws IOException {
    Map<String, ComparedPair> key = key("v");
    int left = 0;
    for (JsonNode task : tasks("v")) {
      left += isFirstOnTheLeft(key, task.get("data")) ? 1 : 0;
      List<String> fields = new ArrayList<>();
      task.get("data").fieldNames().forEachRemaining(fields::add);
      assertEquals(List.of("prompt", "response1", "response2"), fields);
    }
    assertTrue(left > 0 && left < tasks("v").size(), left + " of " + tasks("v").size());
    assertFalse(Files.readString(directory.resolve("v/tasks.json")).contains("policy"));
  }

  @Test
  void samplesAreComparedWithDemonstrations() throws IOException {
    String made = run(0, pairs("sft", "--demonstrations", path("demonstrations.jsonl"))).out();
    assertTrue(made.contains("wrote 24 pairs"), made);
    assertTrue(Files.readString(directory.resolve("sft/tasks.json")).contains("cups"));
    JsonNode report =
        JSON.readTree(
            run(
                    0,
                    "evaluation",
                    "people",
                    judged("sft").toString(),
                    "--key",
                    path("sft/key.jsonl"),
                    "--json")
                .out());
    assertEquals("demonstrations", report.get("second").asText());
    assertEquals(
        tasks("sft").size() - 1 + settledAs("sft", "first"), report.at("/all/wins").asInt());
  }

  private static Judgment judgment(
      int prompt,
      long a,
      long b,
      Preferred preferred,
      Rating rating,
      String annotator,
      int revision) {
    return Judgment.newBuilder()
        .setJudgmentId("j/" + prompt + "/" + annotator)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(List.of(new Turn(Role.USER, "prompt " + prompt)))
        .setResponseA(response(prompt, a))
        .setResponseB(response(prompt, b))
        .setPreferred(preferred)
        .setRating(rating)
        .setAnnotator(annotator)
        .setTime(Instant.ofEpochMilli(1))
        .setRevision(revision)
        .build();
  }

  private static JudgedResponse response(int prompt, long version) {
    return JudgedResponse.newBuilder()
        .setText("response " + prompt + " of " + version)
        .setPolicyVersion(version)
        .build();
  }

  @Test
  void judgmentsOfTheTopicCountByTheirVersions() throws IOException {
    List<Judgment> judgments =
        List.of(
            judgment(1, 12, 9, Preferred.A, Rating.BETTER, "ann", 0),
            // The same pair with its sides changed.
            judgment(1, 9, 12, Preferred.B, Rating.SLIGHTLY_BETTER, "bob", 0),
            // Ann thinks again.
            judgment(2, 12, 9, Preferred.A, Rating.BETTER, "ann", 0),
            judgment(2, 12, 9, Preferred.B, Rating.BETTER, "ann", 1),
            judgment(2, 9, 12, Preferred.A, Rating.BETTER, "bob", 0),
            judgment(3, 12, 9, Preferred.A, Rating.NEGLIGIBLY_BETTER_OR_UNSURE, "ann", 0),
            judgment(3, 12, 9, Preferred.B, Rating.NEGLIGIBLY_BETTER_OR_UNSURE, "bob", 0),
            judgment(4, 12, 9, Preferred.A, Rating.BETTER, "ann", 0),
            judgment(5, 12, 8, Preferred.A, Rating.BETTER, "ann", 0),
            judgment(6, 12, 9, Preferred.A, Rating.BETTER, "", 0));
    Path file = directory.resolve("topic.jsonl");
    Files.write(file, judgments.stream().map(JsonLines::write).toList());
    String[] arguments = {
      "evaluation", "people", file.toString(), "--versions", "12,9", "--annotators", "2", "--json"
    };
    JsonNode report = JSON.readTree(run(0, arguments).out());
    assertEquals(4, report.get("pairs").asInt());
    JsonNode all = report.get("all");
    assertEquals(1, all.get("wins").asInt());
    assertEquals(1, all.get("ties").asInt());
    assertEquals(1, all.get("losses").asInt());
    assertEquals(1, all.get("waiting").asInt());
    assertEquals("not-decided", all.get("verdict").asText());
    assertEquals(
        JSON.readTree("{\"no-annotator\":1,\"no-pair\":1,\"repeated\":1}"),
        report.get("unused_judgments"));

    arguments[4] = "12,7";
    assertTrue(run(2, arguments).error().contains("no judgment is of responses of versions"));
  }

  @Test
  void mistakesAreNamed() {
    assertTrue(
        run(2, "evaluation", "people", path("prompts.jsonl"), "--key", path("prompts.jsonl"))
            .error()
            .contains("pair is missing; name the key.jsonl"));
    assertTrue(
        run(2, "evaluation", "people", path("prompts.jsonl")).error().contains("either --key"));
    assertTrue(run(2, pairs("n", "--other", "x")).error().contains("give --other and --prompts"));
    assertTrue(
        run(2, pairs("v", "--demonstrations", "x")).error().contains("--out must not exist"));
  }
}
