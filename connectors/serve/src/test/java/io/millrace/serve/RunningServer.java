package io.millrace.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.tensor.Backends;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** A server in this process, and a client for it. */
public final class RunningServer implements AutoCloseable {

  public static final ObjectMapper JSON = new ObjectMapper();

  private final Server server;
  private HttpClient client = HttpClient.newHttpClient();

  private RunningServer(Server server) {
    this.server = server;
  }

  /** Settings for tests. */
  public static ServeSettings settings(Path directory, Map<String, ModelSource> models) {
    return new ServeSettings(
        http(List.of(), Duration.ofSeconds(30), Duration.ofSeconds(60)),
        new LaneSettings(8, 64, 256, 200, 0),
        models,
        Map.of(),
        new KafkaSettings("localhost:1", "millrace.", Map.of()),
        new CheckpointCache(directory.resolve("cache").toString(), 1 << 30),
        directory.resolve("copies"),
        _ -> true,
        Optional.empty());
  }

  public static HttpSettings http(List<String> keys, Duration request, Duration deadline) {
    return new HttpSettings(
        "127.0.0.1",
        0,
        keys,
        Optional.empty(),
        1 << 20,
        1000,
        request,
        deadline,
        Duration.ofSeconds(20));
  }

  public static ServeSettings with(ServeSettings base, HttpSettings http) {
    return new ServeSettings(
        http,
        base.lane(),
        base.models(),
        base.aliases(),
        base.kafka(),
        base.cache(),
        base.copies(),
        base.roots(),
        base.record());
  }

  public static RunningServer start(ServeSettings settings) throws IOException {
    return new RunningServer(
        Server.start(
            settings,
            Backends::openDefault,
            (backend, checkpoint) -> ModelWeights.languageModel(backend, checkpoint)));
  }

  /** A server of one checkpoint, under the name policy. */
  public static RunningServer of(Path directory, Path checkpoint) throws IOException {
    return start(
        settings(directory, Map.of("policy", new ModelSource.Fixed(checkpoint.toString()))));
  }

  /** Sends further requests over new connections. */
  public void reconnect() {
    client.close();
    client = HttpClient.newHttpClient();
  }

  public int port() {
    return server.port();
  }

  public String address() {
    return server.address();
  }

  public HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create(server.address() + path)).build(),
        BodyHandlers.ofString());
  }

  public HttpResponse<String> post(String path, String body)
      throws IOException, InterruptedException {
    return post(path, body, request -> request);
  }

  public HttpResponse<String> post(
      String path, String body, UnaryOperator<HttpRequest.Builder> more)
      throws IOException, InterruptedException {
    return client.send(
        more.apply(
                HttpRequest.newBuilder(URI.create(server.address() + path))
                    .header("Content-Type", "application/json")
                    .timeout(Duration.ofSeconds(60))
                    .POST(BodyPublishers.ofString(body)))
            .build(),
        BodyHandlers.ofString());
  }

  /** The body of a request that must succeed. */
  public JsonNode ok(String path, String body) throws IOException, InterruptedException {
    HttpResponse<String> response = post(path, body);
    assertEquals(200, response.statusCode(), response.body());
    return JSON.readTree(response.body());
  }

  /** The error of a request that must fail. */
  public JsonNode refused(int status, String path, String body)
      throws IOException, InterruptedException {
    HttpResponse<String> response = post(path, body);
    assertEquals(status, response.statusCode(), response.body());
    JsonNode error = JSON.readTree(response.body()).path("error");
    assertEquals(4, error.size(), response.body());
    return error;
  }

  /** The events of a stream, which must end with {@code [DONE]}. */
  public List<JsonNode> stream(String path, String body) throws IOException, InterruptedException {
    HttpResponse<String> response = post(path, body);
    assertEquals(200, response.statusCode(), response.body());
    return events(response.body());
  }

  public static List<JsonNode> events(String body) throws JsonProcessingException {
    List<JsonNode> events = new ArrayList<>();
    String[] parts = body.split("\n\n", -1);
    assertEquals("data: [DONE]", parts[parts.length - 2], body);
    for (int i = 0; i < parts.length - 2; i++) {
      events.add(JSON.readTree(parts[i].substring("data: ".length())));
    }
    return events;
  }

  /** A value of {@code /metrics}. */
  public double metric(String line) throws IOException, InterruptedException {
    return get("/metrics")
        .body()
        .lines()
        .filter(each -> each.startsWith(line + " "))
        .mapToDouble(each -> Double.parseDouble(each.substring(line.length() + 1)))
        .findFirst()
        .orElse(Double.NaN);
  }

  @Override
  public void close() {
    client.close();
    server.close();
  }
}
