package io.millrace.serve.http;

import io.helidon.common.socket.SocketOptions;
import io.helidon.http.DirectHandler;
import io.helidon.http.HeaderNames;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.http1.Http1ConnectionSelector;
import io.millrace.serve.api.ApiException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/** Starts web servers with limits and TLS. */
public final class Listener {

  /** Time for the last bytes of a response, beyond its deadline. */
  private static final Duration GRACE = Duration.ofSeconds(30);

  private static final int MAX_HEADERS = 16 * 1024;
  private static final int MAX_PROLOGUE = 4 * 1024;

  /**
   * Without these Helidon sets a filter for the whole process that refuses every class that Java
   * serialization reads. Flink reads its jobs so, and may run in this process.
   */
  private static final List<String> FILTER_ACTIONS =
      List.of("helidon.serialFilter.missing.action", "helidon.serialFilter.failure.action");

  private Listener() {}

  /** Connections with the time limits of the settings. */
  public static Connections connections(HttpSettings settings) {
    return new Connections(
        Http1ConnectionSelector.builder()
            .config(
                Http1Config.builder()
                    .maxHeadersSize(MAX_HEADERS)
                    .maxPrologueLength(MAX_PROLOGUE)
                    .build())
            .build(),
        settings.requestTimeout(),
        settings.deadline().plus(GRACE));
  }

  /**
   * Starts a server.
   *
   * @param refused gets the kind of each request that Helidon itself refuses
   * @param routes adds the routes
   */
  public static WebServer start(
      HttpSettings settings,
      Connections connections,
      Consumer<String> refused,
      Consumer<HttpRouting.Builder> routes) {
    FILTER_ACTIONS.stream()
        .filter(action -> System.getProperty(action) == null)
        .forEach(action -> System.setProperty(action, "ignore"));
    WebServerConfig.Builder config =
        WebServerConfig.builder()
            .host(settings.host())
            .port(settings.port())
            .shutdownHook(false)
            .featuresDiscoverServices(false)
            .protocolsDiscoverServices(false)
            .concurrencyLimitDiscoverServices(false)
            .useNio(false)
            .maxTcpConnections(settings.maxConnections())
            .shutdownGracePeriod(Duration.ofSeconds(1))
            .connectionOptions(connections.watch(SocketOptions.builder().tcpNoDelay(true).build()))
            .addConnectionSelector(connections)
            .directHandlers(directHandlers(refused))
            .routing(routes);
    settings.tls().ifPresent(tls -> config.tls(ServerTls.of(tls)));
    return config.build().start();
  }

  /** Address of a server, such as {@code http://127.0.0.1:8000}. */
  public static String address(HttpSettings settings, int port) {
    String host = settings.host().contains(":") ? "[" + settings.host() + "]" : settings.host();
    return (settings.tls().isPresent() ? "https" : "http") + "://" + host + ":" + port;
  }

  /** Errors that Helidon finds itself, in OpenAI's form as well. */
  private static DirectHandlers directHandlers(Consumer<String> refused) {
    DirectHandler handler =
        (request, event, status, headers, message) -> {
          refused.accept(event.name().toLowerCase(Locale.ROOT));
          return transport(status, headers, message);
        };
    DirectHandlers.Builder handlers = DirectHandlers.builder();
    for (DirectHandler.EventType event : DirectHandler.EventType.values()) {
      handlers.addHandler(event, handler);
    }
    return handlers.build();
  }

  private static DirectHandler.TransportResponse transport(
      Status status, ServerResponseHeaders headers, String message) {
    ApiException error =
        status.code() == 413
            ? ApiException.tooLarge("the request is too large")
            : status.code() >= 500
                ? ApiException.failed("the server failed; see its log")
                : ApiException.badRequest("bad_http", "this is no HTTP request: " + message);
    return DirectHandler.TransportResponse.builder()
        .status(status)
        .headers(headers)
        .header(HeaderNames.CONTENT_TYPE, "application/json")
        .keepAlive(false)
        .entity(new String(Responses.bytes(error.body()), StandardCharsets.UTF_8))
        .build();
  }
}
