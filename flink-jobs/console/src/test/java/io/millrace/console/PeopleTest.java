package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.console.RunningConsole.Visitor;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who may do what, and that nothing that people or models wrote becomes part of the page. */
class PeopleTest {

  private static final String PROBE = "<img src=x onerror=alert(1)>\"'</script>";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static KafkaSettings kafka;
  private static RunningConsole console;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
    kafka = new KafkaSettings(broker.bootstrapServers(), "millrace.", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    console = RunningConsole.start(kafka);
  }

  @AfterAll
  static void stop() throws Exception {
    console.close();
    broker.close();
  }

  @Test
  void nothingIsToBeHadWithoutASession() throws Exception {
    for (String path :
        new String[] {
          "/api/annotate/progress", "/api/watch/state", "/api/watch/metrics", "/api/talk/models"
        }) {
      assertEquals(401, console.get(path).statusCode(), path);
    }
    assertEquals(401, console.send("POST", "/api/annotate/next", "{}", r -> r).statusCode());
    JsonNode me = RunningConsole.JSON.readTree(console.get("/api/me").body());
    assertTrue(me.path("name").isNull());
  }

  @Test
  void wrongForgedAndEndedSessionsAreRefused() throws Exception {
    for (String token : new String[] {"", "wrong", "ann" + RunningConsole.TOKEN + " "}) {
      HttpResponse<String> response =
          console.send("POST", "/api/login", "{\"token\":\"%s\"}".formatted(token), r -> r);
      assertEquals(401, response.statusCode());
      assertFalse(response.headers().firstValue("Set-Cookie").isPresent());
    }
    Visitor ann = console.visitor("ann");
    for (String attribute : new String[] {"HttpOnly", "SameSite=Strict", "Path=/"}) {
      assertTrue(ann.setCookie.contains("; " + attribute), ann.setCookie);
    }
    String cookie = ann.cookie();
    String[] parts = cookie.substring(cookie.indexOf('=') + 1).split("\\.");
    long later = Long.parseLong(parts[1]) + 1;
    String bob = console.visitor("bob").cookie().split("[=.]")[1];
    for (String forged :
        new String[] {
          parts[0] + "." + later + "." + parts[2] + "." + parts[3],
          bob + "." + parts[1] + "." + parts[2] + "." + parts[3],
          parts[0] + "." + parts[1] + "." + parts[2] + ".",
          "a.b.c.d",
          "....",
        }) {
      assertEquals(
          401,
          console
              .send(
                  "GET",
                  "/api/annotate/progress",
                  null,
                  r -> r.header("Cookie", "millrace_console=" + forged))
              .statusCode(),
          forged);
    }
    assertEquals(200, ann.status("GET", "/api/annotate/progress", null));
    assertEquals(200, ann.status("POST", "/api/logout", "{}"));
    assertEquals(401, ann.status("GET", "/api/annotate/progress", null), "used again");
  }

  @Test
  void aSessionExpires() throws Exception {
    Instant now = Instant.now();
    Visitor ann = console.visitor("ann");
    try (RunningConsole later =
        RunningConsole.start(
            kafka,
            RunningConsole.section(),
            Clock.offset(Clock.systemUTC(), Duration.ofHours(2)))) {
      assertTrue(now.isBefore(Instant.now()));
      assertEquals(401, ann.at(later).status("GET", "/api/annotate/progress", null));
    }
  }

  @Test
  void otherSitesAndFormsChangeNothing() throws Exception {
    Visitor ann = console.visitor("ann");
    String path = "/api/annotate/next";
    assertEquals(200, ann.status("POST", path, "{}"));
    assertEquals(
        403,
        console.send("POST", path, "{}", r -> r.header("Cookie", ann.cookie())).statusCode(),
        "without the token");
    String foreign = console.visitor("bob").csrf;
    assertEquals(
        403,
        console
            .send(
                "POST",
                path,
                "{}",
                r -> r.header("Cookie", ann.cookie()).header("X-Millrace-Csrf", foreign))
            .statusCode(),
        "with another's token");
    assertEquals(
        403,
        console
            .send(
                "POST",
                path,
                "{}",
                r ->
                    r.header("Cookie", ann.cookie())
                        .header("X-Millrace-Csrf", ann.csrf)
                        .header("Sec-Fetch-Site", "cross-site"))
            .statusCode(),
        "from another site");
    assertEquals(
        400,
        console
            .send(
                "POST",
                path,
                "{}",
                r ->
                    r.header("Cookie", ann.cookie())
                        .header("X-Millrace-Csrf", ann.csrf)
                        .setHeader("Content-Type", "text/plain"))
            .statusCode(),
        "as a form");
  }

  @Test
  void rolesLimitWhatPeopleSee() throws Exception {
    Visitor ann = console.visitor("ann");
    Visitor rev = console.visitor("rev");
    assertEquals(403, ann.status("GET", "/api/watch/state", null));
    assertEquals(403, ann.status("GET", "/api/annotate/overview", null));
    assertEquals(200, rev.status("GET", "/api/watch/state", null));
    assertEquals(403, rev.status("GET", "/api/watch/record?place=0/0", null));
    assertEquals(404, console.visitor("ops").status("GET", "/api/watch/record?place=9/9", null));
    assertEquals(404, ann.status("GET", "/api/talk/models", null), "no server to talk to");
  }

  @Test
  void tooManyRequestsAreRefused() throws Exception {
    ConsoleSection base = RunningConsole.section();
    ConsoleSection few =
        new ConsoleSection(
            base.host(),
            0,
            "",
            base.session(),
            "",
            "",
            3,
            base.lease(),
            1,
            base.window(),
            10,
            "",
            "",
            "",
            0.1,
            "console");
    try (RunningConsole limited = RunningConsole.start(kafka, few, Clock.systemUTC())) {
      Visitor ann = limited.visitor("ann");
      for (int i = 0; i < 3; i++) {
        assertEquals(200, ann.status("GET", "/api/annotate/progress", null));
      }
      HttpResponse<String> refused = ann.response("GET", "/api/annotate/progress", null);
      assertEquals(429, refused.statusCode());
      assertTrue(refused.headers().firstValue("Retry-After").isPresent());
      int attempts = 0;
      while (limited.send("POST", "/api/login", "{\"token\":\"guess\"}", r -> r).statusCode()
          == 401) {
        attempts++;
      }
      assertTrue(attempts <= 20, "guesses before 429: " + attempts);
      assertEquals(
          429,
          limited.send("POST", "/api/login", "no JSON", r -> r).statusCode(),
          "the body is not read before the limit");
    }
  }

  @Test
  void thePageIsSmallAndProtected() throws Exception {
    long bytes = 0;
    for (String path :
        new String[] {
          "/",
          "/style.css",
          "/app.js",
          "/dom.js",
          "/annotate.js",
          "/watch.js",
          "/talk.js",
          "/uplot.js",
          "/uplot.css",
          "/icon.svg"
        }) {
      HttpResponse<String> file = console.get(path);
      assertEquals(200, file.statusCode(), path);
      String policy = file.headers().firstValue("Content-Security-Policy").orElseThrow();
      assertFalse(policy.contains("unsafe"), policy);
      assertEquals("nosniff", file.headers().firstValue("X-Content-Type-Options").orElseThrow());
      bytes += file.body().getBytes(StandardCharsets.UTF_8).length;
      if (!path.startsWith("/uplot")) {
        assertFalse(
            file.body()
                .matches("(?s).*(innerHTML|outerHTML|insertAdjacent|document.write| style=).*"),
            path);
      }
    }
    assertTrue(bytes < 400_000, bytes + " bytes");
    String page = console.get("/").body();
    assertFalse(page.matches("(?s).*<script[^>]*>[^<].*"), "no inline script");
    assertEquals(404, console.get("/..%2f..%2fetc/passwd").statusCode());
    assertEquals(404, console.get("/ConsoleServer.class").statusCode());
    assertEquals(405, console.send("DELETE", "/api/me", null, r -> r).statusCode());
  }

  @Test
  void whatPeopleAndModelsWroteIsDataAlone() throws Exception {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.ROLLOUTS, Rollouts.rollout("x", 0, PROBE, PROBE + 1, 1));
      writer.send(Topic.ROLLOUTS, Rollouts.rollout("x", 1, PROBE, PROBE + 2, 1));
      writer.send(
          Topic.TRAINING_METRICS,
          new TrainingMetrics(PROBE, 1L, Map.of(PROBE, 1.0, "nan", Double.NaN), Instant.now()));
      writer.send(
          Topic.DEAD_LETTERS,
          DeadLetter.newBuilder()
              .setTopic("millrace.prompts")
              .setPartition(0)
              .setOffset(7)
              .setValue(ByteBuffer.wrap(PROBE.getBytes(StandardCharsets.UTF_8)))
              .setJob(PROBE)
              .setReason("undecodable")
              .setMessage(PROBE)
              .setTime(Instant.now())
              .build());
    }
    Visitor ops = console.visitor("ops");
    JsonNode task = null;
    JsonNode letters = null;
    JsonNode steps = null;
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (System.nanoTime() < end
        && (task == null
            || letters == null
            || letters.isEmpty()
            || steps == null
            || steps.isEmpty())) {
      task = ops.next();
      letters = ops.get("/api/watch/dead-letters?search=ONERROR").path("letters");
      steps = ops.get("/api/watch/metrics").path("steps");
    }
    assertEquals(PROBE, task.path("dialogue").path(0).path("content").asText());
    assertEquals(PROBE, letters.path(0).path("message").asText());
    assertEquals(1, steps.path(0).path("metrics").size(), "NaN is no JSON");
    String place = letters.path(0).path("place").asText();
    HttpResponse<String> record = ops.response("GET", "/api/watch/record?place=" + place, null);
    assertEquals("application/json", record.headers().firstValue("Content-Type").orElseThrow());
    assertEquals(PROBE, RunningConsole.JSON.readTree(record.body()).path("value").asText());
    assertEquals(0, ops.get("/api/watch/dead-letters?search=nothing").path("letters").size());
  }

  @Test
  void withoutAccountsOnlyLoopbackIsServed() throws Exception {
    try (RunningConsole open = RunningConsole.open(kafka)) {
      HttpResponse<String> me = open.get("/api/me");
      assertEquals("local", RunningConsole.JSON.readTree(me.body()).path("name").asText());
      assertTrue(me.headers().firstValue("Set-Cookie").isPresent());
    }
    ConsoleSection base = RunningConsole.section();
    ConsoleSection world =
        new ConsoleSection(
            "0.0.0.0",
            0,
            "",
            base.session(),
            "",
            "",
            3,
            base.lease(),
            1,
            base.window(),
            10,
            "",
            "",
            "",
            0.1,
            "console");
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Console.start(world, kafka, Map.of(), Clock.systemUTC()));
    assertTrue(e.getMessage().contains("console.accounts-file"), e.getMessage());
  }

  @Test
  void messagesAboutAccountsNeverHaveTheirTokens() throws Exception {
    Path file = directory.resolve("accounts");
    ConsoleSection base = RunningConsole.section();
    ConsoleSection section =
        new ConsoleSection(
            base.host(),
            0,
            file.toString(),
            base.session(),
            "",
            "",
            3,
            base.lease(),
            1,
            base.window(),
            10,
            "",
            "",
            "",
            0.1,
            "console");
    for (String line :
        new String[] {
          "ann judge tops3cret-tops3cret",
          "ann annotator tops3cret",
          "an/n operator tops3cret-tops3cret"
        }) {
      Files.writeString(file, line + "\n");
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> Console.start(section, kafka, Map.of(), Clock.systemUTC()));
      assertTrue(e.getMessage().contains("line 1"), e.getMessage());
      assertFalse(e.getMessage().contains("tops3cret"), e.getMessage());
    }
  }
}
