package io.millrace.console.talk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Optional;

/** Passes chats and feedback on to a server, with the account's name. */
public final class Talk implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration TIMEOUT = Duration.ofMinutes(2);
  private static final int LARGEST = 4 << 20;
  private static final int MOST_TURNS = 200;
  private static final int LONGEST_ID = 528;
  private static final int LONGEST_REASON = 4096;

  private final URI server;
  private final Optional<String> key;
  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  /**
   * @param server address, such as {@code http://127.0.0.1:8000}
   * @param key API key of the server
   */
  public Talk(URI server, Optional<String> key) {
    this.server = server;
    this.key = key;
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
    HttpRequest.Builder request = HttpRequest.newBuilder(server.resolve(path)).timeout(TIMEOUT);
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
    try {
      HttpResponse<InputStream> response = client.send(request, BodyHandlers.ofInputStream());
      byte[] content;
      try (InputStream in = response.body()) {
        content = in.readNBytes(LARGEST + 1);
      }
      if (content.length <= LARGEST && JSON.readTree(content) instanceof ObjectNode object) {
        if (response.statusCode() == 200) {
          return object;
        }
        throw ApiException.badRequest(
            "server_refused",
            "the server answered %d: %s"
                .formatted(response.statusCode(), object.path("error").path("message").asText("")));
      }
      throw unavailable("its answer is no JSON object");
    } catch (IOException e) {
      throw unavailable(e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unavailable("the console stops");
    }
  }

  private ApiException unavailable(String problem) {
    return ApiException.unavailable(
        "server_unavailable",
        Duration.ofSeconds(5),
        "the server %s (console.serve-url) does not answer: %s".formatted(server, problem));
  }

  @Override
  public void close() {
    client.close();
  }
}
