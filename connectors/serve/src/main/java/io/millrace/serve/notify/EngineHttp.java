package io.millrace.serve.notify;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.http.Endpoints;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Requests to one endpoint. Messages name the endpoint and never the key. */
final class EngineHttp implements AutoCloseable {

  private static final int MOST_BYTES = 1 << 20;
  private static final int SHOWN = 200;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final URI address;
  private final String key;
  private final Duration requestTimeout;
  private final Duration loadTimeout;
  private final HttpClient http;

  /**
   * @param address without the path
   * @param key sent as a bearer token; empty for none
   * @param requestTimeout for a question
   * @param loadTimeout for a call that loads weights
   */
  EngineHttp(URI address, String key, Duration requestTimeout, Duration loadTimeout) {
    this.address = address;
    this.key = key;
    this.requestTimeout = requestTimeout;
    this.loadTimeout = loadTimeout;
    this.http = Endpoints.client(requestTimeout).build();
  }

  static ObjectNode body() {
    return JSON.createObjectNode();
  }

  /** An answer's body; missing if it is not JSON. */
  JsonNode get(String path) throws EngineException, InterruptedException {
    return answer(path, request(path).GET().build(), requestTimeout);
  }

  /** As {@link #get}, of a call that may load weights. */
  JsonNode post(String path, ObjectNode body) throws EngineException, InterruptedException {
    return answer(
        path,
        request(path)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
            .build(),
        loadTimeout);
  }

  /** A call without a body that may load weights. */
  JsonNode post(String path) throws EngineException, InterruptedException {
    return answer(
        path, request(path).POST(HttpRequest.BodyPublishers.noBody()).build(), loadTimeout);
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address + path));
    if (!key.isEmpty()) {
      request.header("Authorization", "Bearer " + key);
    }
    return request;
  }

  private JsonNode answer(String path, HttpRequest request, Duration timeout)
      throws EngineException, InterruptedException {
    HttpResponse<String> response = send(path, request, timeout);
    int status = response.statusCode();
    if (status / 100 == 2) {
      return json(response.body());
    }
    throw new EngineException(
        Endpoints.mayPass(status) ? EngineException.Kind.FAILED : EngineException.Kind.REFUSED,
        "%s answers %s with status %d: %s%s"
            .formatted(
                address, path, status, Endpoints.shown(response.body(), key, SHOWN), hint(status)));
  }

  private static String hint(int status) {
    return switch (status) {
      case 401, 403 -> " (notify.api-keys)";
      case 404 -> " (does the engine offer this call? docs/engines.md has its start options)";
      default -> "";
    };
  }

  /** The whole answer within a time; a request's own timeout ends with the headers. */
  private HttpResponse<String> send(String path, HttpRequest request, Duration timeout)
      throws EngineException, InterruptedException {
    CompletableFuture<HttpResponse<String>> sent =
        http.sendAsync(request, BodyHandlers.limiting(BodyHandlers.ofString(), MOST_BYTES));
    try {
      return sent.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw new EngineException(
          EngineException.Kind.UNREACHABLE,
          "%s does not answer %s: %s".formatted(address, path, e.getCause()));
    } catch (TimeoutException _) {
      throw new EngineException(
          EngineException.Kind.UNREACHABLE,
          "%s does not answer %s within %d ms".formatted(address, path, timeout.toMillis()));
    } finally {
      sent.cancel(true);
    }
  }

  private static JsonNode json(String body) {
    try {
      return JSON.readTree(body);
    } catch (JsonProcessingException _) {
      return MissingNode.getInstance();
    }
  }

  /** The names of the models that {@code /v1/models} lists. */
  List<String> models() throws EngineException, InterruptedException {
    return get("/v1/models").path("data").findValuesAsText("id");
  }

  @Override
  public void close() {
    http.shutdownNow();
  }

  @Override
  public String toString() {
    return address.toString();
  }
}
