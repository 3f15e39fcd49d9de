package io.millrace.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.serve.follow.ModelSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests that no client should send: a clear error for them, and service for all others. */
class HostileRequestsTest {

  private static final String CHAT = "/v1/chat/completions";
  private static final String GOOD =
      "{\"model\":\"policy\",\"max_tokens\":3,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  @TempDir private static Path directory;
  private static RunningServer server;

  @BeforeAll
  static void start() throws Exception {
    TinyPolicy.write(directory.resolve("v"), 1);
    ServeSettings settings =
        RunningServer.settings(
            directory, Map.of("policy", new ModelSource.Fixed(directory.resolve("v").toString())));
    server =
        RunningServer.start(
            RunningServer.with(
                settings, RunningServer.http(List.of(), PATIENCE, Duration.ofSeconds(60))));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @AfterEach
  void othersAreServed() throws Exception {
    // A connection that has idled for PATIENCE may close as it is used again.
    server.reconnect();
    server.ok(CHAT, GOOD);
  }

  /** Sends bytes as they are, and reads up to the end of the connection. */
  private static String raw(byte[] start, byte[] again, int times) throws IOException {
    try (Socket socket = new Socket("127.0.0.1", server.port())) {
      socket.setSoTimeout(10_000);
      OutputStream out = socket.getOutputStream();
      try {
        out.write(start);
        for (int i = 0; i < times; i++) {
          out.write(again);
        }
        out.flush();
      } catch (SocketException e) {
        // The server has answered, and does not read on.
      }
      return read(socket.getInputStream());
    }
  }

  private static String read(InputStream in) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    try {
      byte[] some = new byte[4096];
      for (int count = in.read(some); count >= 0; count = in.read(some)) {
        all.write(some, 0, count);
      }
    } catch (SocketException | SocketTimeoutException e) {
      // What came before counts.
    }
    return all.toString(StandardCharsets.UTF_8);
  }

  private static byte[] head(String more) {
    return ("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            + "Content-Type: application/json\r\n"
            + more
            + "\r\n")
        .getBytes(StandardCharsets.US_ASCII);
  }

  private static void assertStatus(int status, String response) {
    assertTrue(response.startsWith("HTTP/1.1 " + status), "response: " + response);
    assertTrue(response.contains("{\"error\":{\"message\":"), response);
  }

  @Test
  void aBodyOf100MegabytesIsRefusedByItsLength() throws Exception {
    byte[] part = new byte[1 << 20];
    Arrays.fill(part, (byte) ' ');
    assertStatus(413, raw(head("Content-Length: 104857600\r\n"), part, 100));
  }

  @Test
  void aBodyWithoutLengthIsRefusedAtTheLimit() throws Exception {
    byte[] chunk = new byte[7 + (1 << 16) + 2];
    Arrays.fill(chunk, (byte) ' ');
    System.arraycopy("10000\r\n".getBytes(StandardCharsets.US_ASCII), 0, chunk, 0, 7);
    chunk[chunk.length - 2] = '\r';
    chunk[chunk.length - 1] = '\n';
    assertStatus(413, raw(head("Transfer-Encoding: chunked\r\n"), chunk, 100));
  }

  @Test
  void aMillionMessagesAreRefused() throws Exception {
    String message = "{\"role\":\"user\",\"content\":\"\"},";
    byte[] body =
        ("{\"model\":\"policy\",\"messages\":[" + message.repeat(1_000_000))
            .getBytes(StandardCharsets.US_ASCII);
    assertStatus(413, raw(head("Content-Length: " + body.length + "\r\n"), body, 1));
    String fewer =
        "{\"model\":\"policy\",\"messages\":["
            + message.repeat(30_000)
            + "{\"role\":\"user\",\"content\":\"x\"}]}";
    assertEquals("messages", server.refused(400, CHAT, fewer).path("param").asText());
  }

  @Test
  void deepNestingIsRefused() throws Exception {
    server.refused(400, CHAT, "{\"model\":" + "[".repeat(300_000) + "]".repeat(300_000) + "}");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"\u00ff", "\u00c0\u0080", "\u00ed\u00a0\u0080", "\u00f8\u0088\u0080\u0080\u0080"})
  void invalidUtf8IsRefused(String bytes) throws Exception {
    byte[] body = GOOD.replace("Hi", "Hi" + bytes).getBytes(StandardCharsets.ISO_8859_1);
    String response =
        raw(head("Connection: close\r\nContent-Length: " + body.length + "\r\n"), body, 1);
    assertStatus(400, response);
    assertTrue(response.contains("invalid_utf8"), response);
  }

  @Test
  void headersAreBounded() throws Exception {
    String line = "X-Bomb: " + "x".repeat(1000) + "\r\n";
    String response = raw(head(line.repeat(100)), new byte[0], 0);
    assertTrue(response.startsWith("HTTP/1.1 4"), response);
    assertTrue(response.contains("{\"error\":{\"message\":"), response);
    byte[] path =
        ("GET /" + "x".repeat(100_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .getBytes(StandardCharsets.US_ASCII);
    String refused = raw(path, new byte[0], 0);
    assertTrue(refused.startsWith("HTTP/1.1 4"), refused);
  }

  @Test
  void whatIsNoHttpIsRefused() throws Exception {
    String response = raw("hello\r\n\r\n".getBytes(StandardCharsets.US_ASCII), new byte[0], 0);
    assertTrue(response.startsWith("HTTP/1.1 400"), response);
  }

  /** The byte that comes each half second would keep Helidon's own timeouts from ending it. */
  @ParameterizedTest
  @ValueSource(strings = {"head", "body"})
  void slowClientsAreCutOff(String part) throws Exception {
    byte[] body = GOOD.getBytes(StandardCharsets.US_ASCII);
    byte[] slow = part.equals("head") ? head("Content-Length: " + body.length + "\r\n") : body;
    long start = System.nanoTime();
    try (Socket socket = new Socket("127.0.0.1", server.port())) {
      socket.setSoTimeout(1);
      OutputStream out = socket.getOutputStream();
      if (part.equals("body")) {
        out.write(head("Content-Length: " + body.length + "\r\n"));
      }
      boolean ended = false;
      for (int i = 0; !ended && i < slow.length; i++) {
        try {
          out.write(slow[i]);
          out.flush();
          int _ = socket.getInputStream().read();
          ended = true; // an answer, or the end of the connection
        } catch (SocketTimeoutException e) {
          Thread.sleep(500);
        } catch (SocketException e) {
          ended = true;
        }
      }
      assertTrue(ended);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    assertTrue(seconds < 10, "cut off after " + seconds + " s");
  }

  @Test
  void aBodyThatNeverComesIsAnswered() throws Exception {
    assertStatus(408, raw(head("Content-Length: 100\r\n"), new byte[] {'{'}, 1));
  }

  @Test
  void otherOriginsAndHostsAreRefused() throws Exception {
    String text =
        raw(
            ("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    + "Content-Type: text/plain\r\nContent-Length: "
                    + GOOD.length()
                    + "\r\n\r\n"
                    + GOOD)
                .getBytes(StandardCharsets.US_ASCII),
            new byte[0],
            0);
    assertStatus(400, text);
    String rebound =
        raw(
            "GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
                .getBytes(StandardCharsets.US_ASCII),
            new byte[0],
            0);
    assertStatus(400, rebound);
  }
}
