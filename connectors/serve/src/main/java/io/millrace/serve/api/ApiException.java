package io.millrace.serve.api;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Optional;

/** A request that is answered with an error, in OpenAI's form. */
public final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final String INVALID = "invalid_request_error";

  private final int status;
  private final String type;
  private final String param;
  private final String code;
  private final transient Duration retryAfter;

  private ApiException(
      int status, String type, String code, String param, Duration retryAfter, String message) {
    super(message);
    this.status = status;
    this.type = type;
    this.code = code;
    this.param = param;
    this.retryAfter = retryAfter;
  }

  /** 400: a field has a value that the server does not take. */
  public static ApiException badValue(String param, String message) {
    return new ApiException(400, INVALID, "invalid_value", param, null, message);
  }

  /** 400: the request has another problem. */
  public static ApiException badRequest(String code, String message) {
    return new ApiException(400, INVALID, code, null, null, message);
  }

  /** 401: the API key is missing or wrong. */
  public static ApiException unauthorized(String message) {
    return new ApiException(401, "authentication_error", "invalid_api_key", null, null, message);
  }

  /** 403: the client may not do this. */
  public static ApiException forbidden(String message) {
    return new ApiException(403, "permission_error", "forbidden", null, null, message);
  }

  /** 404: a model, completion or path does not exist. */
  public static ApiException notFound(String code, String param, String message) {
    return new ApiException(404, INVALID, code, param, null, message);
  }

  /** 405: the path has other methods. */
  public static ApiException badMethod(String message) {
    return new ApiException(405, INVALID, "method_not_allowed", null, null, message);
  }

  /** 408: the request came too slowly. */
  public static ApiException slow(String message) {
    return new ApiException(408, INVALID, "request_timeout", null, null, message);
  }

  /** 409: an id is in use for other content. */
  public static ApiException conflict(String param, String message) {
    return new ApiException(409, INVALID, "conflict", param, null, message);
  }

  /** 413: the body is too large. */
  public static ApiException tooLarge(String message) {
    return new ApiException(413, INVALID, "request_too_large", null, null, message);
  }

  /** 429: too many requests wait. */
  public static ApiException busy(Duration retryAfter, String message) {
    return new ApiException(429, "rate_limit_error", "server_busy", null, retryAfter, message);
  }

  /** 500: the server failed. */
  public static ApiException failed(String message) {
    return new ApiException(500, "server_error", "internal_error", null, null, message);
  }

  /** 503: the server cannot answer now. */
  public static ApiException unavailable(String code, Duration retryAfter, String message) {
    return new ApiException(503, "server_error", code, null, retryAfter, message);
  }

  /** 504: the response did not end in time. */
  public static ApiException deadline(String message) {
    return new ApiException(504, "server_error", "deadline_exceeded", null, null, message);
  }

  public int status() {
    return status;
  }

  /** The error's code, which also labels the metric of refused requests. */
  public String code() {
    return code;
  }

  /** When to try again. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** The body: {@code {"error": {"message", "type", "param", "code"}}}. */
  public ObjectNode body() {
    ObjectNode body = JsonNodeFactory.instance.objectNode();
    body.putObject("error")
        .put("message", getMessage())
        .put("type", type)
        .put("param", param)
        .put("code", code);
    return body;
  }
}
