package io.millrace.serve.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.serve.completion.ClientGoneException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Server-sent events, as OpenAI's clients read them. */
final class EventStream {

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
  void add(JsonNode event) {
    write(
        () -> {
          out.write(DATA);
          out.write(Responses.bytes(event));
          out.write(END);
        });
  }

  void flush() {
    write(out::flush);
  }

  /** Sends the event that ends a stream. */
  void done() {
    write(
        () -> {
          out.write(DONE);
          out.close();
        });
  }

  private interface Write {
    void run() throws IOException;
  }

  /**
   * @throws ClientGoneException if nothing can be written
   */
  private static void write(Write action) {
    try {
      action.run();
    } catch (IOException | RuntimeException e) {
      throw new ClientGoneException(e);
    }
  }
}
