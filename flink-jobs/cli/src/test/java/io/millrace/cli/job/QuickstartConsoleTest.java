package io.millrace.cli.job;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.Progress;
import io.millrace.demo.quickstart.Quickstart;
import io.millrace.demo.quickstart.QuickstartSettings;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.PrintStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The console beside a quickstart. The loop itself is LoopTest's. */
@Tag("slow")
class QuickstartConsoleTest {

  private static final Pattern ADDRESS = Pattern.compile("console at (http://127[.\\d]+:\\d+)");

  @TempDir private Path directory;

  private final ByteArrayOutputStream lines = new ByteArrayOutputStream();
  private final Progress progress =
      new Progress(new PrintStream(lines, true, StandardCharsets.UTF_8));
  private HttpRequest me;

  private static final class Seen extends IOException {
    private static final long serialVersionUID = 1L;
  }

  private void visit(HttpClient client) throws IOException {
    String text = lines.toString(StandardCharsets.UTF_8);
    Matcher line = ADDRESS.matcher(text);
    assertTrue(line.find(), text);
    me = HttpRequest.newBuilder(URI.create(line.group(1) + "/api/me")).build();
    try {
      String body = client.send(me, BodyHandlers.ofString()).body();
      assertTrue(body.contains("\"role\":\"operator\""), body);
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  @Test
  void aVisitorOfThePrintedAddressIsTheOperator() throws Exception {
    Quickstart quickstart =
        new Quickstart(
            QuickstartSettings.builder(1, directory).options(List.of("console.port=0")).build(),
            progress);
    try (HttpClient client = HttpClient.newHttpClient()) {
      assertThrows(
          Seen.class,
          () ->
              quickstart.run(
                  (config, kafka) -> {
                    try (Closeable _ = QuickstartCommand.console(config, kafka, progress)) {
                      visit(client);
                    }
                    throw new Seen();
                  },
                  (_, _) -> {
                    throw new AssertionError("the loop did not begin");
                  }));
      assertThrows(ConnectException.class, () -> client.send(me, BodyHandlers.discarding()));
    }
  }
}
