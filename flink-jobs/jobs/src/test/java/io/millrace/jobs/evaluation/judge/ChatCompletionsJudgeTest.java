package io.millrace.jobs.evaluation.judge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.millrace.model.chat.Message;
import io.millrace.model.evaluation.Judge.Answer;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.Judge.Comparison;
import io.millrace.model.evaluation.Judge.Labels;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.Judge.Response;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Against an endpoint in this process. */
class ChatCompletionsJudgeTest {

  private static final String KEY = "sk-very-secret";
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** An answer of the endpoint. */
  private record Reply(int status, String body, Map<String, String> headers) {

    static Reply of(int status, String body) {
      return new Reply(status, body, Map.of());
    }

    static Reply saying(String content) {
      return of(
          200,
          MAPPER
              .createObjectNode()
              .set(
                  "choices",
                  MAPPER
                      .createArrayNode()
                      .add(
                          MAPPER
                              .createObjectNode()
                              .set("message", MAPPER.createObjectNode().put("content", content))))
              .toString());
    }
  }

  private final List<JsonNode> requests = Collections.synchronizedList(new ArrayList<>());
  private final List<String> paths = Collections.synchronizedList(new ArrayList<>());
  private final List<String> authorizations = Collections.synchronizedList(new ArrayList<>());
  private final List<Duration> pauses = Collections.synchronizedList(new ArrayList<>());
  private HttpServer server;
  private volatile Function<String, Reply> endpoint;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    JsonNode request = MAPPER.readTree(exchange.getRequestBody());
    requests.add(request);
    paths.add(exchange.getRequestURI().toString());
    authorizations.add(exchange.getRequestHeaders().getFirst("Authorization"));
    Reply reply = endpoint.apply(request.at("/messages/1/content").asText());
    reply.headers().forEach((name, value) -> exchange.getResponseHeaders().add(name, value));
    byte[] body = reply.body().getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(reply.status(), body.length == 0 ? -1 : body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  private ChatCompletionsJudge judge(String... more) {
    Map<String, String> options = new HashMap<>();
    options.put("url", "http://127.0.0.1:" + server.getAddress().getPort());
    options.put("model", "judge-1");
    options.put("api-key", KEY);
    options.put("retry-delay-seconds", "0.5");
    for (int i = 0; i < more.length; i += 2) {
      options.put(more[i], more[i + 1]);
    }
    ChatCompletionsJudge judge = new ChatCompletionsJudge(pauses::add);
    judge.configure(options);
    return judge;
  }

  private static Question question(String text, boolean isSafety) {
    return new Question("p", List.of(Message.user(text)), isSafety);
  }

  private static Comparison comparison(String a, String b) {
    return new Comparison(
        question("Hi?", false), new Answer(a, Double.NaN, false), new Answer(b, Double.NaN, false));
  }

  /** Prefers, in whichever place, the response that says "good"; says TIE where both do. */
  private static Reply honest(String asked) {
    String[] parts = asked.split("=== Response [AB] ===");
    boolean a = parts[1].contains("good");
    boolean b = parts[2].contains("good");
    return Reply.saying(
        "I was told to end with [[A]] or [[B]].\nSo: "
            + (a == b ? "[[TIE]]" : a ? "[[A]]" : "[[ b ]]"));
  }

  @Test
  void bothOrdersAreAskedAndDisagreementIsATie() throws Exception {
    endpoint = ChatCompletionsJudgeTest::honest;
    try (ChatCompletionsJudge judge = judge()) {
      assertEquals(
          List.of(Choice.A, Choice.B, Choice.TIE),
          judge.compare(
              List.of(
                  comparison("good", "bad"),
                  comparison("bad", "good"),
                  comparison("good one", "good two"))));
      assertEquals(6, requests.size());
      // One that always prefers the first place cannot tell.
      endpoint = _ -> Reply.saying("A");
      assertEquals(List.of(Choice.TIE), judge.compare(List.of(comparison("good", "bad"))));
    }
    JsonNode request = requests.getFirst();
    assertEquals("judge-1", request.get("model").asText());
    assertEquals(0, request.get("temperature").asDouble());
    assertTrue(request.at("/messages/1/content").asText().contains("user: Hi?"));
    assertEquals("/v1/chat/completions", paths.getFirst());
    assertEquals("Bearer " + KEY, authorizations.getFirst());
  }

  @Test
  void whatMayPassIsTriedAgainWithGrowingDelays() throws Exception {
    List<Reply> replies =
        new ArrayList<>(
            List.of(
                Reply.of(503, "busy"),
                new Reply(429, "slow down", Map.of("Retry-After", "7")),
                Reply.of(500, "oops"),
                Reply.saying("[[A]]"),
                Reply.saying("[[B]]")));
    endpoint = _ -> replies.removeFirst();
    try (ChatCompletionsJudge judge = judge("parallel", "1")) {
      assertEquals(List.of(Choice.A), judge.compare(List.of(comparison("x", "y"))));
    }
    assertEquals(
        List.of(Duration.ofMillis(500), Duration.ofSeconds(7), Duration.ofSeconds(2)), pauses);
  }

  @Test
  void anEndpointThatFailsIsToldWithoutTheKey() {
    Map<Reply, String> replies = new HashMap<>();
    replies.put(Reply.of(503, "down"), "failed 4 times, the last time with: status 503: down");
    replies.put(Reply.of(401, "bad key " + KEY), "status 401: (an answer that repeats the key)");
    replies.put(Reply.of(200, "<html>"), "did not answer with JSON: <html>");
    replies.put(Reply.of(200, "{\"choices\": []}"), "without choices[0].message.content");
    replies.put(Reply.saying("They are both fine."), "answered with none of [A, B, TIE]");
    replies.put(Reply.of(302, ""), "status 302");
    replies.forEach(
        (reply, expected) -> {
          endpoint = _ -> reply;
          try (ChatCompletionsJudge judge = judge()) {
            IOException e =
                assertThrows(IOException.class, () -> judge.compare(List.of(comparison("x", "y"))));
            assertTrue(e.getMessage().contains(expected), e.getMessage());
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
              assertFalse(cause.toString().contains(KEY), cause.toString());
            }
          }
        });
    server.stop(0);
    try (ChatCompletionsJudge judge = judge("retries", "1")) {
      IOException e =
          assertThrows(IOException.class, () -> judge.compare(List.of(comparison("x", "y"))));
      assertTrue(e.getMessage().contains("failed 2 times"), e.getMessage());
    }
  }

  @Test
  void anAnswerThatDoesNotComeInTimeIsAFailure() {
    CountDownLatch late = new CountDownLatch(1);
    endpoint =
        _ -> {
          try {
            late.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          return Reply.saying("[[A]]");
        };
    try (ChatCompletionsJudge judge = judge("timeout-seconds", "0.1", "retries", "0")) {
      IOException e =
          assertThrows(IOException.class, () -> judge.compare(List.of(comparison("x", "y"))));
      assertTrue(e.getMessage().contains("timed out"), e.getMessage());
    } finally {
      late.countDown();
    }
  }

  /** Headers in time, and then a byte now and again: the timeout covers the whole answer. */
  @Test
  void anAnswerThatDripsIsAFailure() {
    CountDownLatch enough = new CountDownLatch(1);
    server.removeContext("/");
    server.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(200, 0);
          try {
            while (!enough.await(20, TimeUnit.MILLISECONDS)) {
              exchange.getResponseBody().write(' ');
              exchange.getResponseBody().flush();
            }
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
    try (ChatCompletionsJudge judge = judge("timeout-seconds", "0.3", "retries", "0")) {
      IOException e =
          assertTimeoutPreemptively(
              Duration.ofSeconds(30),
              () ->
                  assertThrows(
                      IOException.class, () -> judge.compare(List.of(comparison("x", "y")))));
      assertTrue(e.getMessage().contains("timed out"), e.getMessage());
    } finally {
      enough.countDown();
    }
  }

  @Test
  void labelsAreAskedForOnlyWhereTheyAreWantedAndCount() throws Exception {
    endpoint = asked -> Reply.saying(asked.contains("bomb") ? "[[YES]]" : "No");
    List<Response> responses =
        List.of(
            new Response(question("x", true), new Answer("a bomb", Double.NaN, false)),
            new Response(question("x", false), new Answer("bread", Double.NaN, false)));
    try (ChatCompletionsJudge judge = judge();
        ChatCompletionsJudge labelling = judge("labels", "true")) {
      assertEquals(List.of(Labels.NONE, Labels.NONE), judge.label(responses));
      assertEquals(0, requests.size());
      assertEquals(
          List.of(
              new Labels(Optional.of(true), Optional.empty()),
              new Labels(Optional.of(false), Optional.of(false))),
          labelling.label(responses));
      assertEquals(3, requests.size());
    }
  }

  @Test
  void urlsAreTakenInEveryUsualForm() throws Exception {
    endpoint = ChatCompletionsJudgeTest::honest;
    String base = "http://127.0.0.1:" + server.getAddress().getPort();
    for (String url : List.of(base + "/", base + "/v1", base + "/v1/chat/completions")) {
      try (ChatCompletionsJudge judge = judge("url", url)) {
        judge.compare(List.of(comparison("good", "bad")));
      }
    }
    assertEquals(Collections.nCopies(6, "/v1/chat/completions"), paths);
  }

  @Test
  void badOptionsAreNamed() {
    assertRefused("url must be like", "url", "localhost:8000");
    assertRefused("model is missing", "model", " ");
    assertRefused("unknown option apikey; options: url, model, api-key", "apikey", "x");
    assertRefused("retries must be a whole number of at least 0, not 'many'", "retries", "many");
    assertRefused("labels must be true or false", "labels", "yes");
  }

  private void assertRefused(String message, String key, String value) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> judge(key, value).close());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }
}
