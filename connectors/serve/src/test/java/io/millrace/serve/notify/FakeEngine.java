package io.millrace.serve.notify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * An HTTP server that answers the calls of vLLM and SGLang that change weights, as their pages
 * describe them. It reads what it loads: a version is the number in {@code millrace.json}.
 */
final class FakeEngine implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final int port;
  private HttpServer server;
  private ExecutorService threads;

  // Guarded by this.
  private final List<String> calls = new ArrayList<>();
  private final Set<String> adapters = new TreeSet<>();
  private Path startPath;
  private long weights = -1;
  private String weightVersion = "default";
  private String modelPath = "none";
  private boolean asleep;
  private boolean hasWeights = true;
  private boolean namesVersion = true;
  private String key = "";
  private int failures;
  private long delayMillis;
  private final Set<Long> bad = new TreeSet<>();

  /**
   * @param port 0 for a free one
   */
  FakeEngine(int port) throws IOException {
    start(port);
    this.port = server.getAddress().getPort();
  }

  private void start(int at) throws IOException {
    threads = Executors.newCachedThreadPool();
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), at), 0);
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  String address() {
    return "http://127.0.0.1:" + port;
  }

  void goDown() {
    server.stop(0);
    threads.shutdownNow();
  }

  /** Comes back with the weights that it starts with. */
  synchronized void comeUp() throws IOException {
    adapters.clear();
    weightVersion = "default";
    modelPath = "none";
    weights = startPath == null || !Files.exists(startPath) ? -1 : versionIn(startPath);
    start(port);
  }

  /** The path that vLLM is started with. */
  synchronized FakeEngine startedWith(Path path) {
    startPath = path;
    return this;
  }

  synchronized FakeEngine requireKey(String required) {
    key = required;
    return this;
  }

  /** Answers the next calls that load something with status 500. */
  synchronized void fail(int times) {
    failures = times;
  }

  /** Cannot load a version. */
  synchronized void refuse(long version) {
    bad.add(version);
  }

  /** Takes its time for each call that loads something. */
  synchronized void slow(long millis) {
    delayMillis = millis;
  }

  /** As an earlier release of SGLang. */
  synchronized FakeEngine withoutWeightVersion() {
    namesVersion = false;
    return this;
  }

  /** The calls that change something, with their bodies. */
  synchronized List<String> calls() {
    return List.copyOf(calls);
  }

  /** The version of the whole weights; -1 for none. */
  synchronized long weights() {
    return hasWeights && !asleep ? weights : -1;
  }

  synchronized List<String> adapters() {
    return List.copyOf(adapters);
  }

  private static long versionIn(Path directory) throws IOException {
    return JSON.readTree(directory.resolve("millrace.json").toFile()).path("version").asLong();
  }

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().toString();
      String sent = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      if (exchange.getRequestMethod().equals("POST") && delay() > 0) {
        TimeUnit.MILLISECONDS.sleep(delay());
      }
      Answer answer = answer(exchange, path, sent);
      byte[] body = answer.body().getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(answer.status(), body.length == 0 ? -1 : body.length);
      exchange.getResponseBody().write(body);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized long delay() {
    return delayMillis;
  }

  private record Answer(int status, String body) {}

  private synchronized Answer answer(HttpExchange exchange, String path, String sent)
      throws IOException {
    if (!key.isEmpty()
        && !("Bearer " + key).equals(exchange.getRequestHeaders().getFirst("Authorization"))) {
      return new Answer(401, "{\"error\":\"Unauthorized\"}");
    }
    boolean changes = exchange.getRequestMethod().equals("POST");
    if (changes) {
      calls.add(sent.isEmpty() ? path : path + " " + sent);
      if (failures > 0) {
        failures--;
        return new Answer(500, "{\"detail\":\"a worker failed\"}");
      }
    }
    JsonNode body = sent.isEmpty() ? JSON.createObjectNode() : JSON.readTree(sent);
    return switch (path) {
      case "/v1/models" -> new Answer(200, models());
      case "/is_sleeping" -> new Answer(200, "{\"is_sleeping\":" + asleep + "}");
      case "/sleep?level=2" -> {
        asleep = true;
        hasWeights = false;
        yield new Answer(200, "");
      }
      case "/wake_up?tags=weights", "/reset_prefix_cache" -> new Answer(200, "");
      case "/wake_up?tags=kv_cache" -> {
        asleep = false;
        yield new Answer(200, "");
      }
      case "/collective_rpc" -> reload(body);
      case "/v1/load_lora_adapter", "/load_lora_adapter" -> loadAdapter(path, body);
      case "/v1/unload_lora_adapter", "/unload_lora_adapter" ->
          adapters.remove(body.path("lora_name").asText())
              ? new Answer(200, "Success")
              : new Answer(404, "{\"error\":\"not loaded\"}");
      case "/update_weights_from_disk" -> update(body);
      case "/get_model_info" -> new Answer(200, info());
      default -> new Answer(404, "{\"detail\":\"Not Found\"}");
    };
  }

  private String models() {
    StringBuilder list = new StringBuilder("{\"object\":\"list\",\"data\":[{\"id\":\"base\"}");
    adapters.forEach(name -> list.append(",{\"id\":\"").append(name).append("\"}"));
    return list.append("]}").toString();
  }

  private String info() {
    return namesVersion
        ? "{\"model_path\":\"%s\",\"weight_version\":\"%s\"}".formatted(modelPath, weightVersion)
        : "{\"model_path\":\"%s\"}".formatted(modelPath);
  }

  private Answer reload(JsonNode body) throws IOException {
    if (!body.path("method").asText().equals("reload_weights")) {
      return new Answer(500, "{\"detail\":\"no such method\"}");
    }
    long version = versionIn(startPath);
    if (bad.contains(version)) {
      return new Answer(500, "{\"detail\":\"shapes differ\"}");
    }
    weights = version;
    hasWeights = true;
    return new Answer(200, "{\"results\":[null]}");
  }

  private Answer loadAdapter(String path, JsonNode body) throws IOException {
    String name = body.path("lora_name").asText();
    Path files = Path.of(body.path("lora_path").asText());
    if (adapters.contains(name)) {
      return new Answer(400, "{\"error\":{\"message\":\"already loaded\"}}");
    }
    if (!Files.exists(files.resolve("adapter_config.json")) || bad.contains(versionIn(files))) {
      return new Answer(404, "{\"error\":{\"message\":\"No adapter found\"}}");
    }
    adapters.add(name);
    return new Answer(
        200, path.startsWith("/v1") ? "Success: LoRA adapter added" : "{\"success\":true}");
  }

  private Answer update(JsonNode body) throws IOException {
    Path files = Path.of(body.path("model_path").asText());
    if (!Files.isDirectory(files) || bad.contains(versionIn(files))) {
      return new Answer(400, "{\"success\":false,\"message\":\"Failed to update weights\"}");
    }
    weights = versionIn(files);
    modelPath = files.toString();
    weightVersion = body.path("weight_version").asText();
    return new Answer(200, "{\"success\":true,\"message\":\"Succeeded\"}");
  }

  @Override
  public void close() {
    goDown();
  }
}
