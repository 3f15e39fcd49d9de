package io.millrace.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Verdict;
import io.millrace.serve.completion.Models.Share;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Served models that follow announcements, and aliases that split requests. */
class FollowTest {

  private static final String CHAT = "/v1/chat/completions";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static KafkaSettings kafka;
  private static RecordWriter writer;
  private static final Map<Long, String> DIGESTS = new HashMap<>();

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
    kafka = new KafkaSettings(broker.bootstrapServers(), "millrace.", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    writer = new RecordWriter(kafka);
    for (long version = 1; version <= 5; version++) {
      DIGESTS.put(version, TinyPolicy.write(path(version), version));
    }
    DIGESTS.put(9L, TinyPolicy.write(path(9), 9, 300));
  }

  @AfterAll
  static void stop() throws Exception {
    writer.close();
    broker.close();
  }

  private static Path path(long version) {
    return directory.resolve("store").resolve("v" + version);
  }

  private static void announce(String model, long version) throws IOException {
    writer.send(
        Topic.POLICY_CHECKPOINTS,
        PolicyCheckpoint.newBuilder()
            .setModel(model)
            .setVersion(version)
            .setUri(path(version).toString())
            .setManifestSha256(DIGESTS.get(version))
            .setIteration(0)
            .setStep(0)
            .setTime(Instant.EPOCH)
            .build());
    writer.flush();
  }

  private static void promote(String model, long version) throws IOException {
    writer.send(
        Topic.PROMOTIONS,
        Promotion.newBuilder()
            .setModel(model)
            .setVersion(version)
            .setVerdict(Verdict.PROMOTE)
            .setEvaluated(version)
            .setUri(path(version).toString())
            .setManifestSha256(DIGESTS.get(version))
            .setTime(Instant.EPOCH)
            .build());
    writer.flush();
  }

  private static ServeSettings settings(
      String name, Map<String, ModelSource> models, Map<String, List<Share>> aliases) {
    ServeSettings base = RunningServer.settings(directory.resolve(name), models);
    return new ServeSettings(
        base.http(),
        new LaneSettings(16, 400, 256, 200, 0),
        models,
        aliases,
        kafka,
        base.cache(),
        base.copies(),
        uri -> uri.startsWith(directory.resolve("store").toString()),
        base.record());
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for " + what);
      TimeUnit.MILLISECONDS.sleep(20);
    }
  }

  private static String request(String model, int i) {
    return """
    {"model":"%s","max_tokens":40,"seed":%d,"n":%d,"stream":%s,
     "messages":[{"role":"user","content":"Question %d"}]}\
    """
        .formatted(model, i, 1 + i % 2, i % 3 == 0, i);
  }

  /** The contents of all choices, of a whole response or of a stream. */
  private static List<String> contents(List<JsonNode> bodies) {
    Map<Integer, StringBuilder> contents = new TreeMap<>();
    for (JsonNode body : bodies) {
      for (JsonNode choice : body.path("choices")) {
        contents
            .computeIfAbsent(choice.path("index").asInt(), _ -> new StringBuilder())
            .append(choice.path("message").path("content").asText(""))
            .append(choice.path("delta").path("content").asText(""));
      }
    }
    return contents.values().stream().map(StringBuilder::toString).toList();
  }

  private static List<JsonNode> bodies(HttpResponse<String> response) throws IOException {
    return response.body().startsWith("data:")
        ? RunningServer.events(response.body())
        : List.of(RunningServer.JSON.readTree(response.body()));
  }

  @Test
  void threeVersionsArePublishedWhile200RequestsAreServed() throws Exception {
    Map<String, ModelSource> models = new LinkedHashMap<>();
    models.put("live", new ModelSource.Latest("busy"));
    for (long version = 1; version <= 4; version++) {
      models.put("v" + version, new ModelSource.Fixed(path(version).toString()));
    }
    announce("busy", 1);
    try (RunningServer server = RunningServer.start(settings("busy", models, Map.of()))) {
      await("version 1", () -> server.get("/ready").statusCode() == 200);
      AtomicInteger answered = new AtomicInteger();
      Map<Integer, HttpResponse<String>> responses = new TreeMap<>();
      try (ExecutorService clients = Executors.newFixedThreadPool(200)) {
        List<Future<HttpResponse<String>>> futures = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
          int number = i;
          futures.add(
              clients.submit(
                  () -> {
                    HttpResponse<String> response = server.post(CHAT, request("live", number));
                    answered.incrementAndGet();
                    return response;
                  }));
        }
        for (long version = 2; version <= 4; version++) {
          int from = Math.toIntExact(150 * (version - 1));
          await(from + " answers", () -> answered.get() >= from);
          announce("busy", version);
        }
        for (int i = 0; i < futures.size(); i++) {
          responses.put(i, futures.get(i).get());
        }
      }
      Map<String, Integer> versions = new TreeMap<>();
      for (Map.Entry<Integer, HttpResponse<String>> entry : responses.entrySet()) {
        HttpResponse<String> response = entry.getValue();
        assertEquals(200, response.statusCode(), response.body());
        String version = response.headers().firstValue("X-Millrace-Version").orElseThrow();
        versions.merge(version, 1, Integer::sum);
        List<JsonNode> bodies = bodies(response);
        for (JsonNode body : bodies) {
          assertEquals("policy-v" + version, body.path("system_fingerprint").asText());
        }
        // A served version alone gives the same answer: no token is of another version.
        if (entry.getKey() % 10 == 0) {
          List<JsonNode> alone = bodies(server.post(CHAT, request("v" + version, entry.getKey())));
          assertEquals(contents(alone), contents(bodies));
        }
      }
      assertTrue(versions.size() >= 3, "versions of the answers: " + versions);
      await("version 4", () -> server.metric("millrace_serve_version{model=\"live\"}") == 4);
    }
  }

  @Test
  void promotionsAreFollowedForwardsAndBackwards() throws Exception {
    announce("gated", 1);
    try (RunningServer server =
        RunningServer.start(
            settings("gated", Map.of("chat", new ModelSource.Promoted("gated")), Map.of()))) {
      assertEquals(503, server.get("/ready").statusCode());
      assertEquals(
          "model_not_ready", server.refused(503, CHAT, request("chat", 1)).path("code").asText());
      for (long version : new long[] {2, 3, 2}) {
        promote("gated", version);
        await(
            "version " + version,
            () -> server.metric("millrace_serve_version{model=\"chat\"}") == version);
        assertEquals(
            Long.toString(version),
            server
                .post(CHAT, request("chat", 1))
                .headers()
                .firstValue("X-Millrace-Version")
                .orElseThrow());
      }
    }
  }

  @Test
  void versionsThatCannotBeServedAreSkippedAndCounted() throws Exception {
    announce("odd", 1);
    try (RunningServer server =
        RunningServer.start(
            settings("odd", Map.of("chat", new ModelSource.Latest("odd")), Map.of()))) {
      String skipped = "millrace_serve_skipped_versions_total{model=\"chat\"}";
      await("version 1", () -> server.get("/ready").statusCode() == 200);
      announce("odd", 9); // another tokenizer
      await("one skipped version", () -> server.metric(skipped) == 1);
      Path outside = directory.resolve("outside");
      String digest = TinyPolicy.write(outside, 10);
      writer.send(
          Topic.POLICY_CHECKPOINTS,
          PolicyCheckpoint.newBuilder()
              .setModel("odd")
              .setVersion(10)
              .setUri(outside.toString())
              .setManifestSha256(digest)
              .setIteration(0)
              .setStep(0)
              .setTime(Instant.EPOCH)
              .build());
      writer.flush();
      await("two skipped versions", () -> server.metric(skipped) == 2);
      assertEquals(1, server.metric("millrace_serve_version{model=\"chat\"}"));
      assertEquals(200, server.post(CHAT, request("chat", 1)).statusCode());
    }
  }

  @Test
  void anAliasSplitsItsRequests() throws Exception {
    Map<String, ModelSource> models = new LinkedHashMap<>();
    models.put("old", new ModelSource.Fixed(path(1).toString()));
    models.put("new", new ModelSource.Fixed(path(2).toString()));
    try (RunningServer server =
        RunningServer.start(
            settings(
                "alias",
                models,
                Map.of("chat", List.of(new Share("old", 3), new Share("new", 1)))))) {
      Map<String, Integer> counts = new TreeMap<>();
      for (int i = 0; i < 200; i++) {
        counts.merge(arm(server, "\"max_tokens\":1"), 1, Integer::sum);
      }
      assertTrue(counts.get("new") > 20 && counts.get("new") < 90, counts.toString());
      // A user stays with one model.
      String arm = arm(server, "\"max_tokens\":1,\"user\":\"ada\"");
      for (int i = 0; i < 10; i++) {
        assertEquals(arm, arm(server, "\"max_tokens\":1,\"user\":\"ada\""));
      }
    }
  }

  private static String arm(RunningServer server, String more) throws Exception {
    return server
        .post(
            CHAT,
            "{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
                + more
                + "}")
        .headers()
        .firstValue("X-Millrace-Model")
        .orElseThrow();
  }
}
