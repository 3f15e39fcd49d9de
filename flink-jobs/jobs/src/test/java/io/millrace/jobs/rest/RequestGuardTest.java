package io.millrace.jobs.rest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.jobs.testkit.ListeningSockets;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Flink's REST interface as a page of another site reaches it, and the sockets it opens. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RequestGuardTest {

  private LocalCluster cluster;
  private int port;

  @BeforeAll
  void start() throws Exception {
    cluster = LocalCluster.start(1, Map.of());
    port = cluster.rest().getPort();
    long deadline = System.nanoTime() + Duration.ofMinutes(1).toNanos();
    while (!ask("GET /jobs/overview", "Host: localhost:PORT").startsWith("HTTP/1.1 200")) {
      assertTrue(System.nanoTime() < deadline, "Flink does not answer");
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  @AfterAll
  void stop() {
    cluster.close();
  }

  /** The answer with its headers. */
  private String ask(String request, String... headers) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      StringBuilder text = new StringBuilder(request).append(" HTTP/1.1\r\n");
      for (String header : headers) {
        text.append(header.replace("PORT", Integer.toString(port))).append("\r\n");
      }
      text.append("Connection: close\r\n\r\n");
      socket.getOutputStream().write(text.toString().getBytes(StandardCharsets.US_ASCII));
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void clientsAndTheOwnPageAreAnswered() throws IOException {
    for (String host : List.of("localhost:PORT", "127.0.0.1:PORT", "LOCALHOST:PORT")) {
      String answer = ask("GET /jobs/overview", "Host: " + host);
      assertTrue(answer.startsWith("HTTP/1.1 200"), answer);
      assertFalse(answer.toLowerCase(java.util.Locale.ROOT).contains("allow-origin: *"), answer);
    }
    String own =
        ask(
            "GET /jobs/overview",
            "Host: localhost:PORT",
            "Origin: http://localhost:PORT",
            "Sec-Fetch-Site: same-origin");
    assertTrue(own.startsWith("HTTP/1.1 200"), own);
  }

  @ParameterizedTest
  @CsvSource({
    "Host: evil.example, ''",
    "Host: evil.example:PORT, ''",
    "Host: localhost.evil.example:PORT, ''",
    "Host: 127.0.0.1.evil.example, ''",
    "Host: localhost:PORT, Origin: http://evil.example",
    "Host: localhost:PORT, Origin: http://localhost:1",
    "Host: localhost:PORT, Origin: null",
    "Host: localhost:PORT, Origin: http://localhost:PORT.evil.example",
    "Host: localhost:PORT, Sec-Fetch-Site: cross-site",
    "Host: localhost:PORT, Sec-Fetch-Site: same-site",
    "X-No-Host: 1, ''"
  })
  void pagesOfOtherSitesAreRefused(String host, String other) throws IOException {
    String[] headers = other.isEmpty() ? new String[] {host} : new String[] {host, other};
    for (String request :
        List.of("GET /jobs/overview", "POST /jobs", "PATCH /jobs/0?mode=cancel", "GET /config")) {
      String answer = ask(request, headers);
      assertTrue(answer.startsWith("HTTP/1.1 403"), request + ": " + answer);
      assertFalse(answer.contains("Allow-Origin"), answer);
    }
  }

  @Test
  void aLinkCancelsNothing() throws IOException {
    String path = "GET /jobs/" + "0".repeat(32) + "/yarn-cancel";
    assertTrue(ask(path, "Host: localhost:PORT").startsWith("HTTP/1.1 403"));
    assertTrue(
        ask(path + "?x=1", "Host: localhost:PORT", "Sec-Fetch-Site: none")
            .startsWith("HTTP/1.1 403"));
    String own = ask(path, "Host: localhost:PORT", "Sec-Fetch-Site: same-origin");
    assertFalse(own.startsWith("HTTP/1.1 403"), own);
  }

  @Test
  void theProcessListensOnLoopbackOnly() throws Exception {
    assertEquals(URI.create("http://127.0.0.1:" + port), cluster.rest());
    List<String> sockets = ListeningSockets.of(ProcessHandle.current().pid());
    assertTrue(
        sockets.stream().anyMatch(socket -> socket.endsWith(":" + port)), sockets.toString());
    assertEquals(List.of(), ListeningSockets.beyondLoopback(ProcessHandle.current().pid()));
  }
}
