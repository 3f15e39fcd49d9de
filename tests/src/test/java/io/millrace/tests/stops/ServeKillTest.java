package io.millrace.tests.stops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.connectors.broker.FreePort;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.models.InitialModel;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Feedback while {@code millrace serve} and Kafka are killed by SIGKILL, and started again. */
@Tag("slow")
class ServeKillTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int COMPLETIONS = 24;
  private static final int CLIENTS = 6;
  private static final int EACH = 60;
  private static final Duration PATIENCE = Duration.ofMinutes(6);

  @TempDir private Path directory;
  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
  private KafkaSettings kafka;
  private int kafkaPort;
  private int servePort;
  private MillraceProcess broker;
  private MillraceProcess serve;
  private int started;

  @BeforeEach
  void start() throws Exception {
    try (ServerSocket one = FreePort.hold(InetAddress.getLoopbackAddress());
        ServerSocket two = FreePort.hold(InetAddress.getLoopbackAddress())) {
      kafkaPort = one.getLocalPort();
      servePort = two.getLocalPort();
    }
    kafka = KafkaSettings.of("127.0.0.1:" + kafkaPort);
    InitialModel.create(
        ConfigLoader.load(Optional.empty(), List.of("model.hidden-size=16")).model(),
        directory.resolve("policy"));
    startBroker();
    startServe();
  }

  @AfterEach
  void stop() throws Exception {
    serve.kill();
    broker.kill();
    http.close();
  }

  private void startBroker() throws Exception {
    broker =
        MillraceProcess.start(
            directory.resolve("broker-" + started++ + ".txt"),
            List.of(
                "broker",
                "--port",
                Integer.toString(kafkaPort),
                "--data",
                directory.resolve("kafka").toString()));
    broker.await("an open port", () -> isOpen(kafkaPort));
  }

  private void startServe() throws Exception {
    serve =
        MillraceProcess.start(
            directory.resolve("serve-" + started++ + ".txt"),
            List.of(
                "serve",
                "--record",
                "--checkpoint",
                directory.resolve("policy").toString(),
                "--port",
                Integer.toString(servePort),
                "--set",
                "kafka.bootstrap-servers=127.0.0.1:" + kafkaPort));
    serve.await("readiness", () -> status("/ready") == 200);
  }

  private static boolean isOpen(int port) {
    try (Socket _ = new Socket("127.0.0.1", port)) {
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + servePort + path);
  }

  private int status(String path) throws InterruptedException {
    try {
      return http.send(
              HttpRequest.newBuilder(uri(path)).timeout(Duration.ofSeconds(5)).build(),
              BodyHandlers.discarding())
          .statusCode();
    } catch (IOException e) {
      return 0;
    }
  }

  private HttpResponse<String> post(String path, String body)
      throws IOException, InterruptedException {
    return http.send(
        HttpRequest.newBuilder(uri(path))
            .timeout(Duration.ofSeconds(60))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for " + what);
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  /** How often each id is in a topic. */
  private <T extends SpecificRecordBase> Map<String, Integer> counts(Topic<T> topic)
      throws IOException {
    Map<String, Integer> counts = new TreeMap<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(
          entry -> entry.record().ifPresent(r -> counts.merge(topic.keyOf(r), 1, Integer::sum)));
    }
    return counts;
  }

  /** Pairs of responses, whose rollouts Kafka has. */
  private List<String> completions() throws Exception {
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < COMPLETIONS; i++) {
      HttpResponse<String> response =
          post(
              "/v1/chat/completions",
              """
              {"model":"policy","n":2,"max_tokens":12,"temperature":1.5,
               "messages":[{"role":"user","content":"Question %d"}]}\
              """
                  .formatted(i));
      JsonNode body = JSON.readTree(response.body());
      assertEquals(200, response.statusCode(), response.body());
      JsonNode choices = body.path("choices");
      String first = choices.path(0).path("message").path("content").asText().strip();
      String second = choices.path(1).path("message").path("content").asText().strip();
      if (!first.isEmpty() && !second.isEmpty() && !first.equals(second)) {
        ids.add(body.path("id").asText());
      }
    }
    assertTrue(ids.size() > COMPLETIONS / 2, "usable pairs: " + ids.size());
    await(
        "the rollouts",
        () -> {
          Set<String> stored = new HashSet<>();
          try (RecordReader<Rollout> reader = RecordReader.fromEarliest(kafka, Topic.ROLLOUTS)) {
            reader.readToEnd(entry -> entry.record().ifPresent(r -> stored.add(r.getRolloutId())));
          }
          return ids.stream()
              .allMatch(id -> stored.contains(id + "/0") && stored.contains(id + "/1"));
        });
    return ids;
  }

  private static String feedback(String id, String completion, int number) {
    return number % 2 == 0
        ? """
        {"feedback_id":"%s","response_a":"%s/0","response_b":"%s/1","preferred":"a",
         "rating":"better"}\
        """
            .formatted(id, completion, completion)
        : """
        {"feedback_id":"%s","completion":"%s","label":"up","correction":"A better answer."}\
        """
            .formatted(id, completion);
  }

  @Test
  void whatGotA2xxIsInTheTopicsOnce() throws Exception {
    List<String> completions = completions();
    Map<String, Integer> acknowledged = new ConcurrentHashMap<>();
    AtomicInteger repeats = new AtomicInteger();
    AtomicInteger known = new AtomicInteger();
    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      List<Future<?>> running = new ArrayList<>();
      for (int c = 0; c < CLIENTS; c++) {
        int client = c;
        running.add(
            clients.submit(
                () -> {
                  for (int i = 0; i < EACH; i++) {
                    String id = "f-" + client + "-" + i;
                    send(
                        id,
                        feedback(id, completions.get((client + i) % completions.size()), i),
                        repeats,
                        known);
                    acknowledged.put(id, i);
                  }
                  return null;
                }));
      }
      int all = CLIENTS * EACH;
      for (int kill = 1; kill <= 5; kill++) {
        int enough = all * kill / 7;
        await(enough + " answers", () -> acknowledged.size() >= enough);
        if (kill % 2 == 1) {
          serve.kill();
          startServe();
        } else {
          broker.kill();
          startBroker();
        }
      }
      for (Future<?> each : running) {
        each.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      }
    }
    System.out.println(
        "%d feedback ids acknowledged, %d requests repeated, %d of them known already"
            .formatted(acknowledged.size(), repeats.get(), known.get()));
    // A client that did not get its answer sends the same again, here to a server of no memory.
    serve.kill();
    startServe();
    for (Map.Entry<String, Integer> each : acknowledged.entrySet()) {
      String[] parts = each.getKey().split("-", -1);
      int number = Integer.parseInt(parts[1]) + Integer.parseInt(parts[2]);
      HttpResponse<String> again =
          post(
              "/v1/feedback",
              feedback(
                  each.getKey(), completions.get(number % completions.size()), each.getValue()));
      assertEquals(200, again.statusCode(), again.body());
      assertTrue(again.body().contains("\"known\""), again.body());
    }
    Map<String, Integer> expectedChoices = new TreeMap<>();
    Map<String, Integer> expectedLabels = new TreeMap<>();
    acknowledged.forEach(
        (id, number) -> (number % 2 == 0 ? expectedChoices : expectedLabels).put("serve/" + id, 1));
    assertEquals(expectedChoices, counts(Topic.JUDGMENTS));
    assertEquals(expectedLabels, counts(Topic.FEEDBACK));
    assertEquals(expectedLabels, counts(Topic.DEMONSTRATIONS));
    int _ = serve.terminate();
    assertTrue(serve.output().contains("ending the requests in flight"), serve.output());
  }

  /** Sends feedback until it gets a 2xx, as a client does. */
  private void send(String id, String body, AtomicInteger repeats, AtomicInteger known)
      throws Exception {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      try {
        HttpResponse<String> response = post("/v1/feedback", body);
        if (response.statusCode() == 200) {
          known.addAndGet(response.body().contains("\"known\"") ? 1 : 0);
          return;
        }
        assertEquals(503, response.statusCode(), response.body());
      } catch (IOException e) {
        // The server is being started again.
      }
      assertTrue(System.nanoTime() < end, "no answer for " + id);
      repeats.incrementAndGet();
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }
}
