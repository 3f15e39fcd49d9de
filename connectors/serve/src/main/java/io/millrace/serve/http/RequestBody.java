package io.millrace.serve.http;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Locale;

/** Reads the bodies of requests, within limits of size and time. */
public final class RequestBody {

  private static final int CHUNK = 16 * 1024;

  private final int maxBytes;
  private final Duration timeout;

  public RequestBody(int maxBytes, Duration timeout) {
    this.maxBytes = maxBytes;
    this.timeout = timeout;
  }

  /**
   * The fields of a JSON body.
   *
   * @throws ApiException 400, 408 or 413
   */
  public Fields read(ServerRequest request) {
    // A page of another origin cannot send this type without asking first.
    String type =
        request.headers().first(HeaderNames.CONTENT_TYPE).orElse("").toLowerCase(Locale.ROOT);
    if (!type.equals("application/json") && !type.startsWith("application/json;")) {
      throw ApiException.badRequest(
          "invalid_content_type", "the header Content-Type must be application/json");
    }
    if (request.headers().contentLength().orElse(0) > maxBytes) {
      throw tooLarge();
    }
    return Fields.parse(bytes(request));
  }

  private byte[] bytes(ServerRequest request) {
    if (!request.content().hasEntity()) {
      throw ApiException.badRequest("invalid_json", "the request has no body");
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    byte[] chunk = new byte[CHUNK];
    // Closing the stream would wait for the rest of a body that is refused.
    InputStream in = request.content().inputStream();
    for (int count = read(in, chunk); count >= 0; count = read(in, chunk)) {
      body.write(chunk, 0, count);
      if (body.size() > maxBytes) {
        throw tooLarge();
      }
    }
    return body.toByteArray();
  }

  private int read(InputStream in, byte[] chunk) {
    try {
      return in.read(chunk);
    } catch (CloseConnectionException e) {
      throw tooSlow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ApiException tooSlow() {
    return ApiException.slow(
        "the body did not come to its end within %d s".formatted(timeout.toSeconds()));
  }

  private ApiException tooLarge() {
    return ApiException.tooLarge("the body has more than %d bytes".formatted(maxBytes));
  }
}
