package io.millrace.console.talk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Passes chats and feedback on to a server, with the account's name. */
public final class Talk implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration TIMEOUT = Duration.ofMinutes(2);
  private static final Duration RETRY = Duration.ofSeconds(5);
  private static final int LARGEST = 4 << 20;
  private static final int MOST_TURNS = 200;
  private static final int LONGEST_ID = 528;
  private static final int LONGEST_REASON = 4096;

  private final URI server;
  private final Optional<String> key;
  private final Duration timeout;
  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  /**
   * @param server address, such as {@code http://127.0.0.1:8000}
   * @param key API key of the server
   */
  public Talk(URI server, Optional<String> key) {
    this(server, key, TIMEOUT);
  }

  /**
   * @param timeout for a whole answer
   */
  Talk(URI server, Optional<String> key, Duration timeout) {
    this.server = server;
    this.key = key;
    this.timeout = timeout;
  }

  /** The models of the server. */
  public ObjectNode models() {
    return send(request("/v1/models").GET().build());
  }

  /** A response to a dialogue; with {@code "compare": true} two. */
  public ObjectNode chat(String account, Fields fields) {
    ObjectNode body = JSON.createObjectNode();
    body.put("model", fields.requiredText("model", LONGEST_ID));
    JsonNode messages =
        fields
            .get("messages")
            .filter(each -> each.isArray() && each.size() <= MOST_TURNS)
            .orElseThrow(
                () ->
                    ApiException.badValue(
                        "messages", "\"messages\" must have 1 to %d turns".formatted(MOST_TURNS)));
    body.set("messages", messages);
    fields.number("temperature", 0, 2).ifPresent(value -> body.put("temperature", value));
    body.put("user", account);
    HttpRequest.Builder request = request("/v1/chat/completions");
    if (fields.flag("compare", false)) {
      request.header("X-Millrace-Compare", "2");
    }
    return post(request, body);
  }

  /** Feedback on responses, in the form of the server. */
  public ObjectNode feedback(String account, Fields fields) {
    ObjectNode body = JSON.createObjectNode();
    body.put("annotator", account);
    for (String name :
        new String[] {
          "feedback_id", "completion", "response_a", "response_b", "label", "preferred", "rating"
        }) {
      String value = fields.optionalText(name, LONGEST_ID);
      if (!value.isEmpty()) {
        body.put(name, value);
      }
    }
    body.put("reason", fields.optionalText("reason", LONGEST_REASON));
    return post(request("/v1/feedback"), body);
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(server.resolve(path));
    key.ifPresent(each -> request.header("Authorization", "Bearer " + each));
    return request;
  }

  private ObjectNode post(HttpRequest.Builder request, ObjectNode body) {
    return send(
        request
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body.toString()))
            .build());
  }

  private ObjectNode send(HttpRequest request) {
    CompletableFuture<HttpResponse<byte[]>> answer =
        client.sendAsync(request, BodyHandlers.limiting(BodyHandlers.ofByteArray(), LARGEST));
    try {
      HttpResponse<byte[]> response = answer.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
      Optional<ObjectNode> body = object(response.body());
      if (response.statusCode() != 200) {
        throw refusal(response, body);
      }
      return body.orElseThrow(() -> unavailable("its answer is no JSON object"));
    } catch (TimeoutException e) {
      throw ApiException.deadline(
          "the server %s (console.serve-url) did not answer whole within %d s"
              .formatted(server, Math.max(1, timeout.toSeconds())));
    } catch (ExecutionException e) {
      throw unavailable(String.valueOf(e.getCause().getMessage()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unavailable("the console stops");
    } finally {
      boolean _ = answer.cancel(true);
    }
  }

  private static Optional<ObjectNode> object(byte[] body) {
    try {
      return JSON.readTree(body) instanceof ObjectNode object
          ? Optional.of(object)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** The status of the server where it says what the page can do; else 400. */
  private static ApiException refusal(HttpResponse<byte[]> response, Optional<ObjectNode> body) {
    int status = response.statusCode();
    String reason = body.map(each -> each.path("error").path("message").asText("")).orElse("");
    String message = "the server answered %d: %s".formatted(status, reason);
    return switch (status) {
      case 409 -> ApiException.conflict(null, message);
      case 429 -> ApiException.busy(retryAfter(response), message);
      case 502, 503 ->
          ApiException.unavailable("server_unavailable", retryAfter(response), message);
      case 408, 504 -> ApiException.deadline(message);
      default -> ApiException.badRequest("server_refused", message);
    };
  }

  private static Duration retryAfter(HttpResponse<byte[]> response) {
    return response
        .headers()
        .firstValue("Retry-After")
        .filter(value -> value.matches("\\d{1,5}"))
        .map(value -> Duration.ofSeconds(Long.parseLong(value)))
        .orElse(RETRY);
  }

  private ApiException unavailable(String problem) {
    return ApiException.unavailable(
        "server_unavailable",
        RETRY,
        "the server %s (console.serve-url) does not answer: %s".formatted(server, problem));
  }

  @Override
  public void close() {
    client.shutdownNow();
    client.close();
  }
}
