package io.millrace.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.serve.completion.Models;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpServer;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.metrics.ServeMetrics;
import io.millrace.serve.sampling.LaneSettings;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Keys, TLS, the bounded queue, deadlines, clients that go away, and the end of a server. */
class AccessTest {

  private static final String RUNNING = "millrace_serve_responses_in_flight{model=\"policy\"}";

  @TempDir private static Path directory;

  @BeforeAll
  static void write() {
    TinyPolicy.write(directory.resolve("v"), 1);
  }

  private static ServeSettings settings(HttpSettings http, LaneSettings lane) {
    ServeSettings base =
        RunningServer.settings(
            directory, Map.of("policy", new ModelSource.Fixed(directory.resolve("v").toString())));
    return new ServeSettings(
        http,
        lane,
        base.models(),
        base.aliases(),
        base.kafka(),
        base.cache(),
        base.copies(),
        base.roots(),
        base.record());
  }

  private static HttpSettings http(Duration deadline, Duration drain) {
    return new HttpSettings(
        "127.0.0.1",
        0,
        List.of(),
        Optional.empty(),
        1 << 20,
        1000,
        Duration.ofSeconds(30),
        deadline,
        drain);
  }

  /** A request for many tokens: seeds whose responses end early do not matter here. */
  private static String longRequest(int n) {
    return """
    {"model":"policy","max_tokens":200,"n":%d,"prompt":"Once","stop":["\\u0000never"]}\
    """
        .formatted(n);
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for " + what);
      TimeUnit.MILLISECONDS.sleep(5);
    }
  }

  @Test
  void aServerLeavesJavaSerializationOfItsProcessAlone() throws Exception {
    try (RunningServer server =
        RunningServer.start(
            settings(
                RunningServer.http(List.of(), Duration.ofSeconds(5), Duration.ofSeconds(5)),
                new LaneSettings(1, 1, 256, 200, 0)))) {
      assertEquals(200, server.get("/health").statusCode());
      Job before = new Job("a job");
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
        out.writeObject(before);
      }
      try (ObjectInputStream in =
          new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
        assertEquals(before, in.readObject());
      }
    }
  }

  private record Job(String name) implements Serializable {}

  @Test
  void aKeyIsNeededWhereThereAreKeys() throws Exception {
    HttpSettings http =
        RunningServer.http(
            List.of("first-secret", "second-secret"),
            Duration.ofSeconds(30),
            Duration.ofSeconds(30));
    assertFalse(http.toString().contains("secret"), http.toString());
    try (RunningServer server =
        RunningServer.start(settings(http, new LaneSettings(8, 64, 256, 200, 0)))) {
      assertEquals(401, server.get("/v1/models").statusCode());
      assertEquals(200, server.get("/health").statusCode());
      String body = longRequest(1);
      for (String wrong : List.of("Bearer first-secre", "Bearer ", "Basic first-secret", "x")) {
        HttpResponse<String> refused =
            server.post("/v1/completions", body, r -> r.header("Authorization", wrong));
        assertEquals(401, refused.statusCode(), wrong);
        assertFalse(refused.body().contains("secret"), refused.body());
        assertTrue(refused.body().contains("\"invalid_api_key\""), refused.body());
      }
      for (String key : List.of("first-secret", "second-secret")) {
        assertEquals(
            200,
            server
                .post("/v1/completions", body, r -> r.header("Authorization", "Bearer " + key))
                .statusCode());
      }
      String counted = "millrace_serve_requests_total{path=\"/v1/%s\",status=\"%d\"}";
      assertEquals(1, server.metric(counted.formatted("models", 401)));
      assertEquals(4, server.metric(counted.formatted("completions", 401)));
      assertEquals(2, server.metric(counted.formatted("completions", 200)));
      assertEquals(5, server.metric("millrace_serve_refused_total{code=\"invalid_api_key\"}"));
    }
  }

  @Test
  void tlsIsServedWithPemFiles() throws Exception {
    Path store = directory.resolve("keys.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-keyalg",
                "RSA",
                "-keysize",
                "2048",
                "-alias",
                "server",
                "-dname",
                "CN=localhost",
                "-ext",
                "SAN=dns:localhost,ip:127.0.0.1",
                "-keystore",
                store.toString(),
                "-storepass",
                "changeit",
                "-validity",
                "2")
            .redirectErrorStream(true)
            .start();
    String output = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, keytool.waitFor(), output);
    KeyStore keys = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
    Certificate certificate = keys.getCertificate("server");
    Path certificatePem = directory.resolve("certificate.pem");
    Path keyPem = directory.resolve("key.pem");
    Files.writeString(certificatePem, pem("CERTIFICATE", certificate.getEncoded()));
    Files.writeString(
        keyPem, pem("PRIVATE KEY", keys.getKey("server", "changeit".toCharArray()).getEncoded()));
    HttpSettings plain = http(Duration.ofSeconds(30), Duration.ofSeconds(5));
    HttpSettings tls =
        new HttpSettings(
            plain.host(),
            0,
            List.of(),
            Optional.of(new HttpSettings.Tls(certificatePem, keyPem)),
            plain.maxRequestBytes(),
            4,
            Duration.ofSeconds(1),
            plain.deadline(),
            plain.drain());
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    trusted.setCertificateEntry("server", certificate);
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (RunningServer server =
            RunningServer.start(settings(tls, new LaneSettings(8, 64, 256, 200, 0)));
        HttpClient client = HttpClient.newBuilder().sslContext(context).build()) {
      assertTrue(server.address().startsWith("https://"));
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(URI.create(server.address() + "/v1/completions"))
                  .header("Content-Type", "application/json")
                  .POST(
                      BodyPublishers.ofString(
                          longRequest(2).replace("{", "{\"stream\":true,\"seed\":5,")))
                  .build(),
              BodyHandlers.ofString());
      assertEquals(200, response.statusCode(), response.body());
      assertTrue(RunningServer.events(response.body()).size() > 2, response.body());
      clientsWithoutHandshakeGiveTheirPlacesBack(server, client);
    }
    Files.writeString(keyPem, "nonsense");
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> RunningServer.start(settings(tls, new LaneSettings(8, 64, 256, 200, 0))));
    assertTrue(refused.getMessage().contains(keyPem.toString()), refused.getMessage());
  }

  /** Three of four places are taken by clients that begin no handshake, or end none. */
  private static void clientsWithoutHandshakeGiveTheirPlacesBack(
      RunningServer server, HttpClient client) throws Exception {
    List<Socket> silent = new ArrayList<>();
    try {
      for (int i = 0; i < 3; i++) {
        Socket socket = new Socket("127.0.0.1", server.port());
        silent.add(socket);
        if (i > 0) {
          socket.getOutputStream().write(new byte[] {0x16, 3, 1, 0, 50, 1});
        }
      }
      HttpRequest metrics =
          HttpRequest.newBuilder(URI.create(server.address() + "/metrics")).build();
      // A connection in use, which is as old, stays.
      await(
          "the end of three connections",
          () ->
              client
                  .send(metrics, BodyHandlers.ofString())
                  .body()
                  .contains("millrace_serve_connection_timeouts_total 3.0"));
      for (Socket socket : silent) {
        socket.setSoTimeout(10_000);
        assertEquals(-1, socket.getInputStream().read());
      }
    } finally {
      for (Socket socket : silent) {
        socket.close();
      }
    }
  }

  /** Kafka may take longer to store feedback than a client has to send it. */
  @Test
  void feedbackMayTakeLongerThanItsRequest() throws Exception {
    HttpSettings http =
        RunningServer.http(List.of(), Duration.ofMillis(500), Duration.ofSeconds(30));
    CountDownLatch never = new CountDownLatch(1);
    try (HttpServer server =
            new HttpServer(
                http,
                new Models(List.of(), Map.of(), () -> 0),
                new ServeMetrics(),
                () -> true,
                () -> true,
                _ -> {},
                fields -> {
                  try {
                    // Longer than reading may take, and the next look for slow clients.
                    assertFalse(never.await(2500, TimeUnit.MILLISECONDS));
                  } catch (InterruptedException e) {
                    throw new AssertionError(e);
                  }
                  return RunningServer.JSON
                      .createObjectNode()
                      .put("id", fields.requiredText("id", 9));
                });
        HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(URI.create(server.address() + "/v1/feedback"))
                  .header("Content-Type", "application/json")
                  .POST(BodyPublishers.ofString("{\"id\":\"x\"}"))
                  .build(),
              BodyHandlers.ofString());
      assertEquals("{\"id\":\"x\"}", response.body().strip());
    }
  }

  private static String pem(String type, byte[] content) {
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
        .formatted(type, Base64.getMimeEncoder().encodeToString(content), type);
  }

  @Test
  void theQueueIsBounded() throws Exception {
    try (RunningServer server =
            RunningServer.start(
                settings(
                    http(Duration.ofSeconds(30), Duration.ofSeconds(5)),
                    new LaneSettings(2, 4, 256, 200, 0)));
        ExecutorService clients = Executors.newFixedThreadPool(30)) {
      List<Future<HttpResponse<String>>> futures = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        futures.add(clients.submit(() -> server.post("/v1/completions", longRequest(2))));
      }
      int busy = 0;
      for (Future<HttpResponse<String>> future : futures) {
        HttpResponse<String> response = future.get();
        if (response.statusCode() == 429) {
          busy++;
          assertTrue(
              Integer.parseInt(response.headers().firstValue("Retry-After").orElseThrow()) >= 1);
          assertTrue(response.body().contains("\"rate_limit_error\""), response.body());
        } else {
          assertEquals(200, response.statusCode(), response.body());
        }
      }
      assertTrue(busy > 0 && busy < 30, "busy: " + busy);
      // More responses than fit at once are no matter of time.
      server.refused(400, "/v1/completions", longRequest(7));
      await("the end of all responses", () -> server.metric(RUNNING) == 0);
    }
  }

  @Test
  void responsesEndAtTheDeadline() throws Exception {
    try (RunningServer server =
        RunningServer.start(
            settings(
                http(Duration.ofMillis(1), Duration.ofSeconds(5)),
                new LaneSettings(2, 4, 256, 200, 0)))) {
      assertEquals(
          "deadline_exceeded",
          server.refused(504, "/v1/completions", longRequest(2)).path("code").asText());
      await("the end of all responses", () -> server.metric(RUNNING) == 0);
    }
  }

  /** Responses of a client that closed its connection free their places. */
  @Test
  void clientsThatGoAwayCancelTheirResponses() throws Exception {
    try (RunningServer server =
        RunningServer.start(
            settings(
                http(Duration.ofSeconds(60), Duration.ofSeconds(5)),
                new LaneSettings(1, 300, 256, 200, 0)))) {
      int gone = 0;
      for (String stream : List.of("false", "true")) {
        String body = longRequest(128).replace("{", "{\"stream\":" + stream + ",");
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
          OutputStream out = socket.getOutputStream();
          out.write(
              ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                      + "Content-Type: application/json\r\nContent-Length: "
                      + body.length()
                      + "\r\n\r\n"
                      + body)
                  .getBytes(StandardCharsets.US_ASCII));
          out.flush();
          await("responses in flight", () -> server.metric(RUNNING) > 0);
        }
        await("the end of all responses", () -> server.metric(RUNNING) == 0);
        gone++;
        assertEquals(gone, server.metric("millrace_serve_cancelled_total"), "stream: " + stream);
      }
    }
  }

  @Test
  void aServerThatStopsEndsItsRequestsFirst() throws Exception {
    RunningServer server =
        RunningServer.start(
            settings(
                http(Duration.ofSeconds(60), Duration.ofSeconds(30)),
                new LaneSettings(4, 300, 256, 200, 0)));
    try (ExecutorService clients = Executors.newFixedThreadPool(10);
        HttpClient client = HttpClient.newHttpClient()) {
      List<Future<HttpResponse<String>>> futures = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        String body =
            longRequest(4).replace("{", "{\"stream\":" + (i % 2 == 0) + ",\"seed\":" + i + ",");
        HttpRequest request =
            HttpRequest.newBuilder(URI.create(server.address() + "/v1/completions"))
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(body))
                .build();
        futures.add(clients.submit(() -> client.send(request, BodyHandlers.ofString())));
      }
      int port = server.port();
      await("responses in flight", () -> server.metric(RUNNING) >= 20);
      Future<?> closing = clients.submit(server::close);
      for (Future<HttpResponse<String>> future : futures) {
        HttpResponse<String> response = future.get();
        boolean refused = response.statusCode() == 503 && response.body().contains("stopping");
        assertTrue(refused || response.statusCode() == 200, response.body());
        if (response.body().startsWith("data:")) {
          assertFalse(response.body().contains("\"error\""), response.body());
          assertTrue(RunningServer.events(response.body()).size() > 1);
        }
      }
      closing.get();
      assertThrows(IOException.class, () -> new Socket("127.0.0.1", port).close());
    }
  }
}
