package io.millrace.serve.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Server-sent events, as OpenAI's clients read them. */
final class EventStream implements AutoCloseable {

  private static final byte[] DATA = "data: ".getBytes(StandardCharsets.UTF_8);
  private static final byte[] END = "\n\n".getBytes(StandardCharsets.UTF_8);
  private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.UTF_8);

  private final OutputStream out;

  EventStream(ServerResponse response) {
    response
        .status(200)
        .header(HeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .header(HeaderNames.CACHE_CONTROL, "no-cache, no-store");
    this.out = response.outputStream();
  }

  /** Adds an event, which {@link #flush} sends. */
  void add(JsonNode event) throws IOException {
    out.write(DATA);
    out.write(Responses.bytes(event));
    out.write(END);
  }

  void flush() throws IOException {
    out.flush();
  }

  /** Sends the event that ends a stream. */
  void done() throws IOException {
    out.write(DONE);
    out.flush();
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
