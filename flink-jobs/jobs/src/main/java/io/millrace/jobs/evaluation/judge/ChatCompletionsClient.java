package io.millrace.jobs.evaluation.judge;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.http.Endpoints;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Asks an endpoint of OpenAI's {@code /v1/chat/completions}, one question at a time. It retries
 * after transient failures: no connection, a timeout, status 408, 429 or 5xx. The delay doubles
 * with each retry, and is at least {@code Retry-After}. Error messages name the endpoint and never
 * the key.
 */
final class ChatCompletionsClient implements AutoCloseable {

  private static final String PATH = "/chat/completions";
  private static final int MAX_BODY = 1 << 20;
  private static final int SHOWN = 200;
  private static final long MAX_RETRY_AFTER_SECONDS = 60;

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** Waits between two attempts. */
  interface Pause {
    void sleep(Duration time) throws InterruptedException;
  }

  /**
   * The endpoint, its model and the retries.
   *
   * @param url of the endpoint, with or without {@code /v1} and the path
   * @param key sent as a bearer token; empty for none
   * @param timeout of one attempt
   * @param retries maximum attempts after the first one
   * @param retryDelay before the first retry
   */
  record Settings(
      URI url,
      String model,
      String key,
      double temperature,
      int maxTokens,
      Duration timeout,
      int retries,
      Duration retryDelay) {

    /** Without the key. */
    @Override
    public String toString() {
      return model + " at " + url;
    }
  }

  /** A failure that a retry may overcome. */
  private static final class TransientFailure extends IOException {
    private static final long serialVersionUID = 1;

    private final Duration retryAfter;

    TransientFailure(String message, Duration retryAfter) {
      super(message);
      this.retryAfter = retryAfter;
    }
  }

  private final Settings settings;
  private final Pause pause;
  private final URI endpoint;
  private final HttpClient http;

  ChatCompletionsClient(Settings settings, Pause pause) {
    this.settings = settings;
    this.pause = pause;
    this.endpoint = endpoint(settings.url());
    // A redirect would carry the key to another host.
    this.http =
        HttpClient.newBuilder()
            .connectTimeout(settings.timeout())
            .followRedirects(HttpClient.Redirect.NEVER)
            .build();
  }

  private static URI endpoint(URI url) {
    String text = url.toString().replaceAll("/+$", "");
    if (text.endsWith(PATH)) {
      return URI.create(text);
    }
    return URI.create(text + (text.endsWith("/v1") ? "" : "/v1") + PATH);
  }

  /**
   * Returns the model's answer.
   *
   * @throws IOException if all attempts fail, or one fails for good
   */
  String ask(String system, String user) throws IOException, InterruptedException {
    HttpRequest request = request(system, user);
    Duration delay = settings.retryDelay();
    for (int left = settings.retries(); ; left--) {
      try {
        return answer(request);
      } catch (TransientFailure e) {
        if (left == 0) {
          throw new IOException(
              "%s failed %d times, the last time with: %s"
                  .formatted(settings, settings.retries() + 1, e.getMessage()),
              e);
        }
        pause.sleep(e.retryAfter.compareTo(delay) > 0 ? e.retryAfter : delay);
        delay = delay.multipliedBy(2);
      }
    }
  }

  private HttpRequest request(String system, String user) {
    ObjectNode body = MAPPER.createObjectNode();
    body.put("model", settings.model());
    body.put("temperature", settings.temperature());
    body.put("max_tokens", settings.maxTokens());
    body.putArray("messages")
        .add(MAPPER.createObjectNode().put("role", "system").put("content", system))
        .add(MAPPER.createObjectNode().put("role", "user").put("content", user));
    HttpRequest.Builder request =
        HttpRequest.newBuilder(endpoint)
            .timeout(settings.timeout())
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
    if (!settings.key().isEmpty()) {
      request.header("Authorization", "Bearer " + settings.key());
    }
    return request.build();
  }

  private String answer(HttpRequest request) throws IOException, InterruptedException {
    HttpResponse<String> response = send(request);
    int status = response.statusCode();
    if (Endpoints.mayPass(status)) {
      throw new TransientFailure(
          "status %d: %s".formatted(status, shown(response.body())),
          Endpoints.retryAfter(response, MAX_RETRY_AFTER_SECONDS));
    }
    if (status != 200) {
      throw new IOException(
          "%s answered with status %d: %s".formatted(settings, status, shown(response.body())));
    }
    return content(response.body());
  }

  /** The whole answer within the timeout; the request's own timeout ends with the headers. */
  private HttpResponse<String> send(HttpRequest request)
      throws TransientFailure, InterruptedException {
    CompletableFuture<HttpResponse<String>> sent =
        http.sendAsync(request, BodyHandlers.limiting(BodyHandlers.ofString(), MAX_BODY));
    try {
      return sent.get(settings.timeout().toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw new TransientFailure(e.getCause().toString(), Duration.ZERO);
    } catch (TimeoutException e) {
      throw new TransientFailure(
          "timed out: no whole answer within %s ms".formatted(settings.timeout().toMillis()),
          Duration.ZERO);
    } finally {
      sent.cancel(true);
    }
  }

  private String content(String body) throws IOException {
    JsonNode content;
    try {
      content = MAPPER.readTree(body).at("/choices/0/message/content");
    } catch (JsonProcessingException e) {
      throw new IOException("%s did not answer with JSON: %s".formatted(settings, shown(body)), e);
    }
    if (!content.isTextual()) {
      throw new IOException(
          "%s answered without choices[0].message.content: %s".formatted(settings, shown(body)));
    }
    return content.asText();
  }

  private String shown(String body) {
    return Endpoints.shown(body, settings.key(), SHOWN);
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
