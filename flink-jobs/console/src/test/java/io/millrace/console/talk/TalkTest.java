package io.millrace.console.talk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Talk with a server that answers what a test wants. */
class TalkTest {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final CountDownLatch end = new CountDownLatch(1);
  private HttpServer server;
  private ExecutorService threads;
  private Talk talk;

  private volatile int status = 200;
  private volatile String answer = "{\"data\":[]}";
  private volatile boolean stalls;
  private volatile String path;
  private volatile JsonNode received;
  private volatile String authorization;
  private volatile String compare;

  @BeforeEach
  void start() throws IOException {
    threads = Executors.newCachedThreadPool();
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
    talk = talk(Duration.ofSeconds(30));
  }

  private Talk talk(Duration timeout) {
    return new Talk(
        URI.create("http://127.0.0.1:" + server.getAddress().getPort()),
        Optional.of("secret"),
        timeout);
  }

  @AfterEach
  void stop() {
    end.countDown();
    talk.close();
    server.stop(0);
    threads.shutdownNow();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      path = exchange.getRequestURI().getPath();
      authorization = exchange.getRequestHeaders().getFirst("Authorization");
      compare = exchange.getRequestHeaders().getFirst("X-Millrace-Compare");
      received = JSON.readTree(exchange.getRequestBody());
      byte[] body = answer.getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Retry-After", "7");
      exchange.sendResponseHeaders(status, body.length + (stalls ? 1 : 0));
      exchange.getResponseBody().write(body);
      exchange.getResponseBody().flush();
      if (stalls) {
        end.await();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static Fields chat() throws IOException {
    return Fields.parse(
        "{\"model\":\"policy\",\"compare\":true,\"messages\":[{\"role\":\"user\",\"content\":\"<b>hi\"}]}"
            .getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void aChatReachesTheServerWithTheAccountAndTheKey() throws Exception {
    answer = "{\"choices\":[{\"id\":\"1\"},{\"id\":\"2\"}]}";
    assertEquals(JSON.readTree(answer), talk.chat("ann", chat()));
    assertEquals("/v1/chat/completions", path);
    assertEquals("Bearer secret", authorization);
    assertEquals("2", compare);
    assertEquals("ann", received.path("user").asText());
    assertEquals("policy", received.path("model").asText());
    assertEquals("<b>hi", received.path("messages").path(0).path("content").asText());
  }

  @ParameterizedTest
  @CsvSource({"400,400", "401,400", "409,409", "429,429", "500,400", "503,503", "504,504"})
  void theStatusSaysWhatThePageCanDo(int theirs, int ours) {
    status = theirs;
    answer = "{\"error\":{\"message\":\"the reason\"}}";
    ApiException e = assertThrows(ApiException.class, talk::models);
    assertEquals(ours, e.status());
    assertTrue(e.getMessage().contains("the reason"), e.getMessage());
    if (ours == 429 || ours == 503) {
      assertEquals(Optional.of(Duration.ofSeconds(7)), e.retryAfter());
    }
  }

  @Test
  void aProxysPageIsARefusalToo() {
    status = 429;
    answer = "<html>slow down";
    assertEquals(429, assertThrows(ApiException.class, talk::models).status());
    status = 200;
    assertEquals(503, assertThrows(ApiException.class, talk::models).status());
  }

  @Test
  void aBodyThatStallsEndsWithTheTimeout() {
    stalls = true;
    try (Talk hasty = talk(Duration.ofMillis(300))) {
      ApiException e =
          assertTimeoutPreemptively(
              Duration.ofSeconds(20), () -> assertThrows(ApiException.class, hasty::models));
      assertEquals(504, e.status());
    }
  }

  @Test
  void aBodyThatIsTooLargeIsNotKept() {
    answer = "[" + " ".repeat(4 << 20) + "]";
    assertEquals(503, assertThrows(ApiException.class, talk::models).status());
  }

  @Test
  void aServerThatIsAwayIsUnavailable() {
    server.stop(0);
    assertEquals(503, assertThrows(ApiException.class, talk::models).status());
  }
}
