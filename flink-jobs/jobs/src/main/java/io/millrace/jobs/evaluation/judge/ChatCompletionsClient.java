package io.millrace.jobs.evaluation.judge;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;

/**
 * One question at a time to an endpoint that speaks OpenAI's {@code /v1/chat/completions}. What may
 * pass by itself (no connection, no answer in time, status 408, 429 or 5xx) is tried again, each
 * time after twice the delay, or after what {@code Retry-After} asks for. Messages of failures name
 * the endpoint and never the key.
 */
final class ChatCompletionsClient implements AutoCloseable {

  private static final String PATH = "/chat/completions";
  private static final int MAX_BODY = 1 << 20;
  private static final int SHOWN = 200;
  private static final long MAX_RETRY_AFTER_SECONDS = 60;

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** Waits between two tries. */
  interface Pause {
    void sleep(Duration time) throws InterruptedException;
  }

  /**
   * What is asked, and how patiently.
   *
   * @param url the endpoint's, with or without {@code /v1} and the path
   * @param key sent as a bearer token; empty for none
   * @param retries after the first try
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

  /** A failure that may pass by itself. */
  private static final class Passing extends IOException {
    private static final long serialVersionUID = 1;

    private final Duration retryAfter;

    Passing(String message, Duration retryAfter) {
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
   * What the model answers.
   *
   * @throws IOException when it does not, all tries included
   */
  String ask(String system, String user) throws IOException, InterruptedException {
    HttpRequest request = request(system, user);
    Duration delay = settings.retryDelay();
    for (int left = settings.retries(); ; left--) {
      try {
        return answer(request);
      } catch (Passing e) {
        if (left == 0) {
          throw new IOException(
              "%s failed %d times, the last time: %s"
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
    HttpResponse<String> response;
    try {
      response = http.send(request, BodyHandlers.limiting(BodyHandlers.ofString(), MAX_BODY));
    } catch (IOException e) {
      throw new Passing(e.toString(), Duration.ZERO);
    }
    int status = response.statusCode();
    if (status == 408 || status == 429 || status >= 500) {
      throw new Passing(
          "status %d: %s".formatted(status, shown(response.body())), retryAfter(response));
    }
    if (status != 200) {
      throw new IOException(
          "%s answers with status %d: %s".formatted(settings, status, shown(response.body())));
    }
    return content(response.body());
  }

  private String content(String body) throws IOException {
    JsonNode content;
    try {
      content = MAPPER.readTree(body).at("/choices/0/message/content");
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s answers with what is not JSON: %s".formatted(settings, shown(body)), e);
    }
    if (!content.isTextual()) {
      throw new IOException(
          "%s answers without choices[0].message.content: %s".formatted(settings, shown(body)));
    }
    return content.asText();
  }

  private static Duration retryAfter(HttpResponse<?> response) {
    List<String> seconds = response.headers().allValues("Retry-After");
    // The header may be a date too; then our own delay has to do.
    return seconds.size() == 1 && seconds.getFirst().matches("\\d{1,9}")
        ? Duration.ofSeconds(Math.min(MAX_RETRY_AFTER_SECONDS, Long.parseLong(seconds.getFirst())))
        : Duration.ZERO;
  }

  /** The beginning of an answer; one that repeats the key is not shown. */
  private String shown(String body) {
    if (!settings.key().isEmpty() && body.contains(settings.key())) {
      return "(an answer that repeats the key)";
    }
    String line = body.replaceAll("\\s+", " ").strip();
    return line.length() <= SHOWN ? line : line.substring(0, SHOWN) + "…";
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
