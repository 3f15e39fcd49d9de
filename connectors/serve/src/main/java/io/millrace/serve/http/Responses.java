package io.millrace.serve.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.serve.api.ApiException;

/** Writes JSON and errors. */
public final class Responses {

  private static final ObjectMapper JSON = new ObjectMapper();

  private Responses() {}

  public static byte[] bytes(JsonNode body) {
    try {
      return JSON.writeValueAsBytes(body);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree is JSON", e);
    }
  }

  public static void json(ServerResponse response, int status, JsonNode body) {
    response
        .status(status)
        .header(HeaderNames.CONTENT_TYPE, "application/json")
        .header(HeaderNames.CACHE_CONTROL, "no-store")
        .send(bytes(body));
  }

  /** Answers a question about the server's state: 200, or 503 if it is not as it should be. */
  public static void state(ServerResponse response, boolean good, String yes, String no) {
    json(
        response,
        good ? 200 : 503,
        JsonNodeFactory.instance.objectNode().put("status", good ? yes : no));
  }

  /** Answers with an error, unless a part of the response was sent already. */
  public static void refuse(ServerResponse response, ApiException error) {
    if (!response.isSent()) {
      error(response, error);
    }
  }

  private static void error(ServerResponse response, ApiException error) {
    error
        .retryAfter()
        .ifPresent(
            after -> response.header(HeaderNames.RETRY_AFTER, Long.toString(after.toSeconds())));
    if (error.status() == 408 || error.status() == 413) {
      // The rest of the body stays unread.
      response.header(HeaderValues.CONNECTION_CLOSE);
    }
    if (error.status() == 401) {
      response.header(HeaderNames.WWW_AUTHENTICATE, "Bearer");
    }
    json(response, error.status(), error.body());
  }
}
