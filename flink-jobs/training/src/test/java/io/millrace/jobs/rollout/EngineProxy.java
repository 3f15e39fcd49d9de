package io.millrace.jobs.rollout;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.Function;

/** An HTTP server before an engine, which can answer in its place. */
final class EngineProxy implements AutoCloseable {

  /** Answers that break the connection. */
  static final Answer BROKEN = new Answer(0, "", "");

  private static final ObjectMapper JSON = new ObjectMapper();

  private final String engine;
  private final HttpServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpClient http = HttpClient.newHttpClient();

  /** Requests with a prompt of token ids. */
  final List<JsonNode> requests = new CopyOnWriteArrayList<>();

  /** Answers a request of token ids in place of the engine; null passes it on. */
  volatile Function<JsonNode, Answer> faults = _ -> null;

  /** Changes answers of the engine. */
  volatile Consumer<ObjectNode> changes = _ -> {};

  /**
   * @param retryAfter empty for none
   */
  record Answer(int status, String body, String retryAfter) {}

  EngineProxy(String engine) throws IOException {
    this.engine = engine;
    server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  String address() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      byte[] body = exchange.getRequestBody().readAllBytes();
      JsonNode request = body.length == 0 ? JSON.createObjectNode() : JSON.readTree(body);
      Answer answer = null;
      if (request.path("prompt").isArray()) {
        requests.add(request);
        answer = faults.apply(request);
      }
      if (answer == null) {
        answer = passedOn(exchange, body);
      }
      if (answer.status() == 0) {
        return;
      }
      if (!answer.retryAfter().isEmpty()) {
        exchange.getResponseHeaders().add("Retry-After", answer.retryAfter());
      }
      byte[] bytes = answer.body().getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(answer.status(), bytes.length);
      exchange.getResponseBody().write(bytes);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Answer passedOn(HttpExchange exchange, byte[] body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(engine + exchange.getRequestURI()));
    HttpResponse<String> response =
        http.send(
            (body.length == 0
                    ? request.GET()
                    : request
                        .header("Content-Type", "application/json")
                        .POST(BodyPublishers.ofByteArray(body)))
                .build(),
            BodyHandlers.ofString());
    return new Answer(response.statusCode(), changed(response.body()), "");
  }

  private String changed(String body) throws JsonProcessingException {
    ObjectNode answer = (ObjectNode) JSON.readTree(body);
    changes.accept(answer);
    return answer.toString();
  }

  @Override
  public void close() {
    server.stop(0);
    http.shutdownNow();
    threads.shutdownNow();
  }
}
