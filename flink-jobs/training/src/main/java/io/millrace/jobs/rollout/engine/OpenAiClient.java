package io.millrace.jobs.rollout.engine;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.http.BoundedBody;
import io.millrace.connectors.http.Endpoints;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;

/**
 * Asynchronous requests to an endpoint. A future completes when the engine has answered for good.
 * Until then it retries: after no answer, status 408, 429 and 5xx, with delays that double, and at
 * least {@code Retry-After}. While the circuit breaker is open, all requests wait. A request is
 * refused after a number of failures only if the engine answered other requests between them, so an
 * outage of any length refuses none. Messages never hold the key.
 */
public final class OpenAiClient implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int SHOWN = 300;
  private static final long LONGEST_RETRY_AFTER_SECONDS = 300;
  private static final Duration LONGEST_DELAY = Duration.ofSeconds(30);

  private final OpenAiSettings settings;
  private final HttpClient http;
  private final CircuitBreaker breaker;
  private volatile boolean closed;

  public OpenAiClient(OpenAiSettings settings, LongSupplier nanoTime) {
    this.settings = settings;
    this.breaker =
        new CircuitBreaker(
            "engine " + settings, settings.mostFailures(), settings.pause(), nanoTime);
    this.http = Endpoints.client(settings.timeout()).build();
  }

  static ObjectNode body() {
    return JSON.createObjectNode();
  }

  /**
   * Takes what is needed from an answer.
   *
   * @param <T> what it says
   */
  @FunctionalInterface
  interface Reading<T> {
    /**
     * Reads an answer.
     *
     * @throws EngineException if the answer cannot be used
     * @throws IOException if another request may have a better answer
     */
    T read(JsonNode answer) throws IOException;
  }

  /** A request until its answer. */
  private static final class Call<T> {
    private final String path;
    private final HttpRequest request;
    private final int mostBytes;
    private final Reading<T> reading;
    private final CompletableFuture<T> result = new CompletableFuture<>();
    private int failures;
    private int refusals;
    private long successesBefore = -1;

    Call(String path, HttpRequest request, int mostBytes, Reading<T> reading) {
      this.path = path;
      this.request = request;
      this.mostBytes = mostBytes;
      this.reading = reading;
    }
  }

  /**
   * Sends a request.
   *
   * @param mostBytes of the answer
   */
  <T> CompletableFuture<T> post(String path, ObjectNode body, int mostBytes, Reading<T> reading) {
    return send(
        path,
        request(path)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
            .build(),
        mostBytes,
        reading);
  }

  <T> CompletableFuture<T> get(String path, int mostBytes, Reading<T> reading) {
    return send(path, request(path).GET().build(), mostBytes, reading);
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(settings.url() + path)).timeout(settings.timeout());
    if (!settings.key().isEmpty()) {
      request.header("Authorization", "Bearer " + settings.key());
    }
    return request;
  }

  private <T> CompletableFuture<T> send(
      String path, HttpRequest request, int mostBytes, Reading<T> reading) {
    Call<T> call = new Call<>(path, request, mostBytes, reading);
    attempt(call);
    return call.result;
  }

  private void attempt(Call<?> call) {
    if (closed) {
      call.result.cancel(false);
      return;
    }
    Duration wait = breaker.await();
    if (wait.isPositive()) {
      later(wait, call);
      return;
    }
    CompletableFuture<HttpResponse<Optional<byte[]>>> sent =
        http.sendAsync(call.request, _ -> new BoundedBody(call.mostBytes));
    // The request's own timeout ends with the headers.
    CompletableFuture<?> _ =
        sent.copy()
            .orTimeout(settings.timeout().toMillis(), TimeUnit.MILLISECONDS)
            .whenComplete(
                (response, problem) -> {
                  sent.cancel(true);
                  if (problem != null) {
                    lost(call, problem instanceof CompletionException e ? e.getCause() : problem);
                  } else if (response.body().isEmpty()) {
                    tooLarge(call);
                  } else {
                    answered(call, response);
                  }
                });
  }

  private void later(Duration wait, Call<?> call) {
    CompletableFuture.delayedExecutor(wait.toMillis() + 1, TimeUnit.MILLISECONDS)
        .execute(() -> attempt(call));
  }

  private void tooLarge(Call<?> call) {
    breaker.answered();
    call.result.completeExceptionally(
        EngineException.unusable(
            "engine %s answers %s with more than %d bytes; no answer needs so many"
                .formatted(settings, call.path, call.mostBytes)));
  }

  private void lost(Call<?> call, Throwable problem) {
    String text =
        problem instanceof TimeoutException
            ? "no whole answer within %d ms (rollout.openai-timeout)"
                .formatted(settings.timeout().toMillis())
            : problem.toString();
    failed(call, text, Duration.ZERO);
  }

  private <T> void answered(Call<T> call, HttpResponse<Optional<byte[]>> response) {
    int status = response.statusCode();
    switch (status) {
      case 429 -> {
        // The engine works, and is busy.
        breaker.answered();
        retry(call, retryAfter(response));
      }
      case 400, 413, 422 -> {
        breaker.answered();
        call.result.completeExceptionally(EngineException.refused(problem(call, response)));
      }
      default -> {
        if (status / 100 == 2) {
          breaker.answered();
          read(call, response);
        } else if (status == 408 || status >= 500) {
          failed(call, problem(call, response), retryAfter(response));
        } else {
          breaker.answered();
          call.result.completeExceptionally(
              EngineException.unusable(problem(call, response) + hint(status)));
        }
      }
    }
  }

  private <T> void read(Call<T> call, HttpResponse<Optional<byte[]>> response) {
    try {
      call.result.complete(call.reading.read(JSON.readTree(response.body().orElseThrow())));
    } catch (JsonProcessingException _) {
      call.result.completeExceptionally(
          EngineException.unusable(
              "engine %s answers %s with no JSON: %s"
                  .formatted(settings, call.path, shown(response))));
    } catch (EngineException e) {
      call.result.completeExceptionally(
          e.isOfPrompt()
              ? e
              : EngineException.unusable(
                  "engine %s answers %s %s".formatted(settings, call.path, e.getMessage())));
    } catch (IOException _) {
      retry(call, Duration.ZERO);
    }
  }

  private static String hint(int status) {
    return switch (status) {
      case 401, 403 -> " (rollout.openai-api-key-file)";
      case 404 -> " (rollout.openai-url, rollout.openai-model)";
      default -> "";
    };
  }

  private void failed(Call<?> call, String problem, Duration retryAfter) {
    long successes = breaker.successes();
    if (call.successesBefore >= 0 && successes > call.successesBefore) {
      call.refusals++;
    }
    call.successesBefore = successes;
    breaker.failed(problem);
    if (call.refusals > settings.retries()) {
      call.result.completeExceptionally(
          EngineException.refused(
              "failed %d times while other requests succeeded, the last time with: %s"
                  .formatted(call.refusals + 1, problem)));
      return;
    }
    if (breaker.isOpen()) {
      // The breaker's pause applies, which ends for all requests at once.
      later(
          settings.retryDelay().compareTo(retryAfter) > 0 ? settings.retryDelay() : retryAfter,
          call);
    } else {
      retry(call, retryAfter);
    }
  }

  private void retry(Call<?> call, Duration least) {
    Duration delay = settings.retryDelay().multipliedBy(1L << Math.min(call.failures++, 20));
    if (delay.compareTo(LONGEST_DELAY) > 0) {
      delay = LONGEST_DELAY;
    }
    later(delay.compareTo(least) > 0 ? delay : least, call);
  }

  private static Duration retryAfter(HttpResponse<?> response) {
    return Endpoints.retryAfter(response, LONGEST_RETRY_AFTER_SECONDS);
  }

  private String problem(Call<?> call, HttpResponse<Optional<byte[]>> response) {
    return "engine %s answers %s with status %d: %s"
        .formatted(settings, call.path, response.statusCode(), shown(response));
  }

  private String shown(HttpResponse<Optional<byte[]>> response) {
    String body = new String(response.body().orElseThrow(), StandardCharsets.UTF_8);
    return Endpoints.shown(body, settings.key(), SHOWN);
  }

  /** Whether requests wait because the engine fails. */
  public boolean isWaiting() {
    return breaker.isOpen();
  }

  @Override
  public void close() {
    closed = true;
    http.shutdownNow();
  }

  @Override
  public String toString() {
    return settings.toString();
  }
}
