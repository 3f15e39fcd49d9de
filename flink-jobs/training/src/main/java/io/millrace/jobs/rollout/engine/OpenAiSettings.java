package io.millrace.jobs.rollout.engine;

import java.net.URI;
import java.time.Duration;

/**
 * An endpoint of the OpenAI API.
 *
 * @param url of the server, with or without {@code /v1}
 * @param key sent as a bearer token; empty for none
 * @param timeout for a whole answer
 * @param retries failures of one request while others succeed, after which it is refused
 * @param retryDelay before the first retry; it doubles up to 30 seconds
 * @param mostFailures in a row, after which requests wait
 * @param pause before one of them is tried again
 */
public record OpenAiSettings(
    URI url,
    String key,
    Duration timeout,
    int retries,
    Duration retryDelay,
    int mostFailures,
    Duration pause) {

  /**
   * Checks the text of a URL.
   *
   * @throws IllegalArgumentException if it is no URL of a server
   */
  public static URI url(String text) {
    try {
      URI url = URI.create(text.strip().replaceAll("/+$", "").replaceAll("/v1$", ""));
      boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
      if (http
          && url.getHost() != null
          && url.getUserInfo() == null
          && url.getQuery() == null
          && url.getFragment() == null) {
        return url;
      }
    } catch (IllegalArgumentException _) {
      // The message below says what is wanted.
    }
    throw new IllegalArgumentException(
        "must be a URL such as http://gpu1:8000, without user, query or fragment");
  }

  /** Without the key. */
  @Override
  public String toString() {
    return url.toString();
  }
}
