package io.millrace.connectors.http;

import io.millrace.schemas.Printable;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;

/** What clients of endpoints share: connections that keep a key, and answers in messages. */
public final class Endpoints {

  private Endpoints() {}

  /**
   * A client of HTTP/1.1 that follows no redirect, which would carry the key to another host.
   *
   * @param timeout for a connection
   */
  public static HttpClient.Builder client(Duration timeout) {
    return HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1)
        .connectTimeout(timeout)
        .followRedirects(HttpClient.Redirect.NEVER);
  }

  /** Whether another attempt may succeed after a status: 408, 429 and 5xx. */
  public static boolean mayPass(int status) {
    return status == 408 || status == 429 || status >= 500;
  }

  /**
   * The time that {@code Retry-After} asks to wait. The header may also be a date; then it is zero,
   * and the caller's own delay applies.
   *
   * @param most seconds
   */
  public static Duration retryAfter(HttpResponse<?> response, long most) {
    List<String> seconds = response.headers().allValues("Retry-After");
    return seconds.size() == 1 && seconds.getFirst().matches("\\d{1,9}")
        ? Duration.ofSeconds(Math.min(most, Long.parseLong(seconds.getFirst())))
        : Duration.ZERO;
  }

  /**
   * The beginning of an answer in one line, unless the answer repeats the key.
   *
   * @param key of the endpoint; empty for none
   * @param most characters
   */
  public static String shown(String body, String key, int most) {
    if (!key.isEmpty() && body.contains(key)) {
      return "(an answer that repeats the key)";
    }
    String line = Printable.line(body.replaceAll("\\s+", " ").strip());
    return line.length() <= most ? line : line.substring(0, most) + "…";
  }
}
