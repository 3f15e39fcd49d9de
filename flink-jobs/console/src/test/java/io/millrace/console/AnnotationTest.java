package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.console.RunningConsole.Visitor;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Tasks, leases and choices over HTTP, and what Kafka has of them. */
class AnnotationTest {

  private static final String BETTER = "\"preferred\":\"a\",\"rating\":\"better\"";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private KafkaSettings kafka;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  @BeforeEach
  void topics(TestInfo test) throws IOException {
    kafka =
        new KafkaSettings(
            broker.bootstrapServers(),
            test.getTestMethod().orElseThrow().getName() + ".",
            Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
  }

  private static JsonNode await(Visitor visitor) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (true) {
      JsonNode task = visitor.next();
      if (task != null || System.nanoTime() > end) {
        return task;
      }
      Thread.onSpinWait();
    }
  }

  private List<Judgment> judgments() throws IOException {
    return Rollouts.read(kafka, Topic.JUDGMENTS);
  }

  @Test
  void aChoiceIsAJudgmentOnceKafkaHasIt() throws Exception {
    Rollouts.sendPairs(kafka, "p", 1);
    try (RunningConsole console = RunningConsole.start(kafka)) {
      Visitor ann = console.visitor("ann");
      JsonNode task = await(ann);
      assertEquals(
          Set.of("task", "revision", "objective", "leased_until", "dialogue", "left", "right"),
          names(task),
          "a task must not name models, versions or rollouts");
      assertEquals(task, ann.next(), "a reload gets the same task");
      String choice =
          BETTER + ",\"unsafe_left\":false,\"unsafe_right\":true,\"reason\":\"shorter\"";
      assertEquals("stored", ann.choose(task, choice).path("status").asText());
      Judgment judgment = judgments().getFirst();
      assertEquals(task.path("left").asText(), judgment.getResponseA().getText());
      assertEquals(task.path("right").asText(), judgment.getResponseB().getText());
      assertEquals(Preferred.A, judgment.getPreferred());
      assertEquals(Rating.BETTER, judgment.getRating());
      assertEquals("ann", judgment.getAnnotator());
      assertEquals(false, judgment.getResponseA().getUnsafe());
      assertEquals(true, judgment.getResponseB().getUnsafe());
      assertTrue(judgment.getResponseA().getRolloutId().startsWith("p0/"));
      Assignment last = Rollouts.read(kafka, Topic.ASSIGNMENTS).getLast();
      assertEquals(AssignmentState.JUDGED, last.getState());
      assertEquals(judgment.getResponseA().getRolloutId(), last.getLeft());
      assertEquals("shorter", last.getReason());

      assertEquals("known", ann.choose(task, choice).path("status").asText());
      assertEquals(1, judgments().size(), "the same choice again stores nothing");
      assertEquals(
          409,
          ann.status(
              "POST",
              "/api/annotate/submit",
              Visitor.choice(task, "\"preferred\":\"b\",\"rating\":\"better\"")),
          "another choice needs the next revision");
      assertNull(ann.next());
    }
  }

  private static Set<String> names(JsonNode node) {
    Set<String> names = new HashSet<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  @Test
  void choicesAreRevisedAndWithdrawn() throws Exception {
    Rollouts.sendPairs(kafka, "p", 1);
    try (RunningConsole console = RunningConsole.start(kafka)) {
      Visitor ann = console.visitor("ann");
      JsonNode task = await(ann);
      ann.choose(task, BETTER);
      String named = "{\"task\":%s}".formatted(task.path("task"));
      JsonNode again = ann.post("/api/annotate/revise", named);
      assertEquals("better", again.path("choice").path("rating").asText());
      assertEquals(task.path("left"), again.path("left"), "sides stay");
      ann.choose(again, "\"preferred\":\"b\",\"rating\":\"slightly_better\"");
      List<Judgment> judgments = judgments();
      assertEquals(2, judgments.size());
      assertEquals(judgments.get(0).getJudgmentId(), judgments.get(1).getJudgmentId());
      assertEquals(1, judgments.get(1).getRevision());
      assertEquals(Preferred.B, judgments.get(1).getPreferred());

      // Both bad is no judgment: the judgment is withdrawn, and feedback takes its place.
      ann.choose(ann.post("/api/annotate/revise", named), "\"both_bad\":true");
      List<Withdrawal> withdrawals = Rollouts.read(kafka, Topic.WITHDRAWALS);
      assertEquals(judgments.get(0).getJudgmentId(), withdrawals.getFirst().getName());
      List<Feedback> feedback = Rollouts.read(kafka, Topic.FEEDBACK);
      assertEquals(
          List.of(Label.DOWN, Label.DOWN), feedback.stream().map(Feedback::getLabel).toList());

      // A judgment after that needs an id that was not withdrawn.
      ann.choose(ann.post("/api/annotate/revise", named), BETTER);
      assertNotEquals(judgments.get(0).getJudgmentId(), judgments().getLast().getJudgmentId());

      ann.post("/api/annotate/withdraw", named);
      assertEquals("known", ann.post("/api/annotate/withdraw", named).path("status").asText());
      List<String> withdrawn =
          Rollouts.read(kafka, Topic.WITHDRAWALS).stream().map(Withdrawal::getName).toList();
      assertEquals(
          List.of(
              judgments.get(0).getJudgmentId(),
              feedback.get(0).getFeedbackId(),
              feedback.get(1).getFeedbackId(),
              judgments().getLast().getJudgmentId()),
          withdrawn);
      assertEquals(1, ann.get("/api/annotate/progress").path("withdrawn").asInt());
    }
  }

  @Test
  void twoPeopleAtTwoConsolesNeverShareATask() throws Exception {
    int tasks = 30;
    Rollouts.sendPairs(kafka, "p", tasks);
    try (RunningConsole one = RunningConsole.start(kafka);
        RunningConsole other = RunningConsole.start(kafka);
        ExecutorService people = Executors.newVirtualThreadPerTaskExecutor()) {
      assertNotNull(await(one.visitor("ann")));
      List<Callable<List<String>>> work =
          List.of(() -> judgeAll(one.visitor("ann")), () -> judgeAll(other.visitor("bob")));
      List<String> judged = new ArrayList<>();
      for (Future<List<String>> each : people.invokeAll(work)) {
        assertFalse(each.get().isEmpty(), "both get tasks");
        judged.addAll(each.get());
      }
      assertEquals(tasks, judged.size());
      assertEquals(tasks, new HashSet<>(judged).size(), "no task twice");
      assertEquals(tasks, judgments().stream().map(Judgment::getJudgmentId).distinct().count());
      assertEquals(tasks, judgments().size());
    }
  }

  private static List<String> judgeAll(Visitor visitor) throws Exception {
    List<String> judged = new ArrayList<>();
    for (JsonNode task = await(visitor); task != null; task = visitor.next()) {
      visitor.choose(task, BETTER);
      judged.add(task.path("task").asText());
    }
    return judged;
  }

  @Test
  void anotherConsoleKnowsEverything() throws Exception {
    Rollouts.sendPairs(kafka, "p", 3);
    Visitor ann;
    JsonNode open;
    try (RunningConsole console = RunningConsole.start(kafka)) {
      ann = console.visitor("ann");
      ann.choose(await(ann), BETTER);
      JsonNode skipped = ann.next();
      ann.post(
          "/api/annotate/skip",
          "{\"task\":%s,\"reason\":\"a language that I do not know\"}"
              .formatted(skipped.path("task")));
      open = ann.next();
    }
    try (RunningConsole console = RunningConsole.start(kafka)) {
      Visitor same = ann.at(console);
      JsonNode task = await(same);
      assertEquals(open, task, "the lease, and the sides");
      JsonNode progress = same.get("/api/annotate/progress");
      assertEquals(1, progress.path("judged").asInt());
      assertEquals(1, progress.path("skipped").asInt());
      same.choose(task, BETTER);
      assertNull(same.next());
      JsonNode forBob = console.visitor("bob").next();
      assertNotNull(forBob, "what one skipped goes to another");
      assertEquals(2, judgments().size());
    }
  }

  @Test
  void aLeaseThatRanOutGoesToAnother() throws Exception {
    Rollouts.sendPairs(kafka, "p", 1);
    SettableClock clock = new SettableClock();
    try (RunningConsole console = RunningConsole.start(kafka, RunningConsole.section(), clock)) {
      Visitor ann = console.visitor("ann");
      Visitor bob = console.visitor("bob");
      JsonNode task = await(ann);
      assertNull(bob.next());
      clock.now = clock.now.plus(Duration.ofMinutes(11));
      JsonNode taken = bob.next();
      assertEquals(task.path("task"), taken.path("task"));
      HttpResponse<String> late =
          ann.response("POST", "/api/annotate/submit", Visitor.choice(task, BETTER));
      assertEquals(409, late.statusCode(), late.body());
      bob.choose(taken, BETTER);
      assertEquals(List.of("bob"), judgments().stream().map(Judgment::getAnnotator).toList());
    }
  }

  private static final class SettableClock extends Clock {
    private volatile Instant now = Instant.now();

    @Override
    public Instant instant() {
      return now;
    }

    @Override
    public ZoneOffset getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(java.time.ZoneId zone) {
      return this;
    }
  }

  private static String choice(JsonNode task, String better) {
    String side = task.path("left").asText().equals(better) ? "a" : "b";
    assertEquals(better, task.path(side.equals("a") ? "left" : "right").asText());
    return "\"preferred\":\"%s\",\"rating\":\"better\"".formatted(side);
  }

  private static JsonNode row(JsonNode overview, String annotator) {
    for (JsonNode each : overview.path("annotators")) {
      if (each.path("annotator").asText().equals(annotator)) {
        return each;
      }
    }
    throw new AssertionError(overview);
  }

  @Test
  void goldTasksAreHiddenAndCounted() throws Exception {
    List<Judgment> known = new ArrayList<>();
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 3; i++) {
      Judgment gold =
          Judgment.newBuilder()
              .setJudgmentId("known" + i)
              .setObjective(Objective.HELPFULNESS)
              .setDialogue(List.of(new Turn(Role.USER, "gold " + i)))
              .setResponseA(new JudgedResponse("good " + i, "r" + i, 7L, null, false))
              .setResponseB(new JudgedResponse("bad " + i, null, null, null, true))
              .setPreferred(Preferred.A)
              .setRating(Rating.BETTER)
              .setAnnotator("expert")
              .setSource("gold")
              .setTime(Instant.EPOCH)
              .build();
      known.add(gold);
      lines.append(JsonLines.write(gold)).append('\n');
    }
    Path file = Files.writeString(directory.resolve("gold.jsonl"), lines);
    ConsoleSection section = RunningConsole.section(1, file.toString(), 1);
    Rollouts.sendPairs(kafka, "p", 1);
    JsonNode counts;
    try (RunningConsole console = RunningConsole.start(kafka, section, Clock.systemUTC())) {
      Visitor ann = console.visitor("ann");
      String[] answers = {"good ", "bad ", ""};
      for (String answer : answers) {
        JsonNode task = ann.next();
        assertEquals(
            Set.of("task", "revision", "objective", "leased_until", "dialogue", "left", "right"),
            names(task));
        String prompt = task.path("dialogue").path(0).path("content").asText();
        assertEquals("gold ", prompt.substring(0, 5), "all tasks until none is left");
        assertEquals(task, ann.next(), "a reload gets the same task");
        assertFalse(
            ann.choose(
                    task,
                    answer.isEmpty()
                        ? "\"both_bad\":true"
                        : choice(task, answer + prompt.substring(5)))
                .toString()
                .contains("gold"));
      }
      assertTrue(
          await(ann).path("dialogue").path(0).path("content").asText().startsWith("What is"));
      assertNotNull(console.visitor("bob").next(), "another gets gold tasks too");
      JsonNode progress = ann.get("/api/annotate/progress");
      assertEquals(3, progress.path("judged").asInt());
      assertEquals(0, progress.path("compared").asInt());
      assertFalse(progress.toString().contains("gold"), progress.toString());
      counts = row(console.visitor("rev").get("/api/annotate/overview"), "ann");
      assertEquals(2, counts.path("gold_compared").asInt());
      assertEquals(1, counts.path("gold_right").asInt());
      assertEquals(1, counts.path("gold_other").asInt());
    }
    assertEquals(List.of(), Rollouts.read(kafka, Topic.FEEDBACK), "nothing to learn from");
    assertEquals(2, judgments().size());
    for (Judgment judgment : judgments()) {
      Judgment gold =
          known.stream()
              .filter(each -> each.getDialogue().equals(judgment.getDialogue()))
              .findFirst()
              .orElseThrow();
      assertEquals(
          Set.of(gold.getResponseA(), gold.getResponseB()),
          Set.of(judgment.getResponseA(), judgment.getResponseB()),
          "the reward model knows the pair by its texts");
      assertEquals(gold.getObjective(), judgment.getObjective());
    }
    try (RunningConsole console = RunningConsole.start(kafka, section, Clock.systemUTC())) {
      assertEquals(
          counts, row(console.visitor("rev").get("/api/annotate/overview"), "ann"), "restarted");
    }
  }

  @Test
  void agreementIsThatOfTheChoicesOfTheSameResponse() throws Exception {
    Rollouts.sendPairs(kafka, "p", 3);
    try (RunningConsole console =
        RunningConsole.start(kafka, RunningConsole.section(2, "", 0), Clock.systemUTC())) {
      for (String name : new String[] {"ann", "bob"}) {
        Visitor visitor = console.visitor(name);
        for (int i = 0; i < 3; i++) {
          JsonNode task = await(visitor);
          String prompt = task.path("dialogue").path(0).path("content").asText();
          int number = prompt.charAt("What is p".length()) - '0';
          // Both prefer A of pair 0, and B of pair 1; they disagree on pair 2.
          boolean first = number == 0 || (number == 2 && name.equals("ann"));
          visitor.choose(task, choice(task, (first ? "A " : "B ") + number));
        }
      }
      for (JsonNode body :
          List.of(
              console.visitor("ann").get("/api/annotate/progress"),
              console.visitor("rev").get("/api/annotate/overview"))) {
        assertEquals(3, body.path("compared").asInt());
        assertEquals(2, body.path("agreed").asInt());
        // By hand: categories 1 and 6 of 8; ratings (1, 1), (6, 6), (1, 6).
        assertEquals(4 / 9.0, body.path("alpha").asDouble(), 1e-9);
        assertEquals(56 / 81.0, body.path("ac2").asDouble(), 1e-9);
      }
    }
  }

  @Test
  void whatIsNoChoiceIsRefused() throws Exception {
    Rollouts.sendPairs(kafka, "p", 1);
    try (RunningConsole console = RunningConsole.start(kafka)) {
      Visitor ann = console.visitor("ann");
      JsonNode task = await(ann);
      for (String choice :
          new String[] {
            "\"preferred\":\"a\"",
            "\"rating\":\"better\"",
            "\"preferred\":\"c\",\"rating\":\"better\"",
            "\"both_bad\":true," + BETTER,
            BETTER + ",\"unsafe_left\":\"yes\"",
            BETTER + ",\"reason\":\"" + "x".repeat(2001) + "\""
          }) {
        assertEquals(
            400, ann.status("POST", "/api/annotate/submit", Visitor.choice(task, choice)), choice);
      }
      assertEquals(
          404,
          console
              .visitor("bob")
              .status("POST", "/api/annotate/submit", Visitor.choice(task, BETTER)),
          "the task of another");
      assertEquals(List.of(), judgments());
    }
  }
}
