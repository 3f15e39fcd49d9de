package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.function.UnaryOperator;

/** A console in this process, and its visitors. */
final class RunningConsole implements AutoCloseable {

  static final ObjectMapper JSON = new ObjectMapper();
  static final String TOKEN = "-0123456789abcdef";

  private final Console console;
  private final HttpClient client = HttpClient.newHttpClient();

  private RunningConsole(Console console) {
    this.console = console;
  }

  static ConsoleSection section() {
    return section(1, "", 0);
  }

  static ConsoleSection section(int overlap, String goldFile, double goldShare) {
    return new ConsoleSection(
        "127.0.0.1",
        0,
        "",
        Duration.ofHours(1),
        "",
        "",
        100_000,
        Duration.ofMinutes(10),
        overlap,
        Duration.ofDays(7),
        10_000,
        "",
        "",
        goldFile,
        goldShare,
        "console");
  }

  /** A console whose accounts have the token NAME followed by {@link #TOKEN}. */
  static RunningConsole start(KafkaSettings kafka, ConsoleSection section, Clock clock)
      throws IOException {
    StringBuilder accounts = new StringBuilder();
    for (String account :
        new String[] {"ann:annotator", "bob:annotator", "rev:reviewer", "ops:operator"}) {
      accounts
          .append(account)
          .append(':')
          .append(account.substring(0, 3))
          .append(TOKEN)
          .append(',');
    }
    return new RunningConsole(
        Console.start(
            section, kafka, Map.of("MILLRACE_CONSOLE_ACCOUNTS", accounts.toString()), clock));
  }

  static RunningConsole start(KafkaSettings kafka) throws IOException {
    return start(kafka, section(), Clock.systemUTC());
  }

  /** A console without accounts. */
  static RunningConsole open(KafkaSettings kafka) throws IOException {
    return new RunningConsole(Console.start(section(), kafka, Map.of(), Clock.systemUTC()));
  }

  String address() {
    return console.address();
  }

  HttpResponse<String> send(
      String method, String path, String body, UnaryOperator<HttpRequest.Builder> more)
      throws IOException, InterruptedException {
    return client.send(
        more.apply(
                HttpRequest.newBuilder(URI.create(console.address() + path))
                    .timeout(Duration.ofSeconds(60))
                    .header("Content-Type", "application/json")
                    .method(
                        method,
                        body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body)))
            .build(),
        BodyHandlers.ofString());
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return send("GET", path, null, request -> request);
  }

  /** Signs in. */
  Visitor visitor(String name) throws IOException, InterruptedException {
    HttpResponse<String> response =
        send(
            "POST",
            "/api/login",
            "{\"token\":\"%s%s\"}".formatted(name, TOKEN),
            request -> request);
    assertEquals(200, response.statusCode(), response.body());
    return new Visitor(
        response.headers().firstValue("Set-Cookie").orElseThrow(),
        JSON.readTree(response.body()).path("csrf").asText());
  }

  /** A person who has signed in. */
  final class Visitor {

    final String setCookie;
    final String csrf;

    Visitor(String setCookie, String csrf) {
      this.setCookie = setCookie;
      this.csrf = csrf;
    }

    String cookie() {
      return setCookie.substring(0, setCookie.indexOf(';'));
    }

    /** The same person at another console. */
    Visitor at(RunningConsole other) {
      return other.new Visitor(setCookie, csrf);
    }

    HttpResponse<String> response(String method, String path, String body)
        throws IOException, InterruptedException {
      return send(
          method,
          path,
          body,
          request -> request.header("Cookie", cookie()).header("X-Millrace-Csrf", csrf));
    }

    JsonNode post(String path, String body) throws IOException, InterruptedException {
      HttpResponse<String> response = response("POST", path, body);
      assertEquals(200, response.statusCode(), response.body());
      return JSON.readTree(response.body());
    }

    JsonNode get(String path) throws IOException, InterruptedException {
      HttpResponse<String> response = response("GET", path, null);
      assertEquals(200, response.statusCode(), response.body());
      return JSON.readTree(response.body());
    }

    int status(String method, String path, String body) throws IOException, InterruptedException {
      return response(method, path, body).statusCode();
    }

    /** The next task; null without one. */
    JsonNode next() throws IOException, InterruptedException {
      JsonNode task = post("/api/annotate/next", "{}");
      return task.path("task").isNull() ? null : task;
    }

    JsonNode choose(JsonNode task, String choice) throws IOException, InterruptedException {
      return post("/api/annotate/submit", choice(task, choice));
    }

    static String choice(JsonNode task, String choice) {
      return "{\"task\":%s,\"revision\":%d,%s}"
          .formatted(task.path("task"), task.path("revision").asInt(), choice);
    }
  }

  @Override
  public void close() {
    client.close();
    console.close();
  }
}
