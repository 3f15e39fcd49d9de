package io.millrace.serve.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import io.millrace.serve.completion.Completion;
import io.millrace.serve.completion.Models;
import io.millrace.serve.metrics.ServeMetrics;
import io.millrace.serve.sampling.Lane;
import java.time.Clock;
import java.time.Duration;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The HTTP server. {@link #routes} is its table of routes. */
public final class HttpServer implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(HttpServer.class);

  private static final Set<String> KEYLESS = Set.of("/health", "/ready", "/metrics");

  private final HttpSettings settings;
  private final Models models;
  private final ServeMetrics metrics;
  private final BooleanSupplier healthy;
  private final BooleanSupplier ready;
  private final ApiKeys keys;
  private final Hosts hosts;
  private final Connections connections;
  private final CompletionRoutes completions;
  private final FeedbackRoute feedback;
  private final WebServer server;
  private final RequestsInFlight inFlight = new RequestsInFlight();

  /** Takes feedback. */
  @FunctionalInterface
  public interface FeedbackRoute {
    /**
     * Stores the feedback of a request.
     *
     * @return the body of the response
     * @throws ApiException if the feedback cannot be taken
     */
    ObjectNode take(Fields fields);
  }

  /**
   * Starts the server.
   *
   * @param healthy whether the server can still work
   * @param ready whether it can answer requests, once every model has a version
   * @param completed gets every completion before its last part is sent
   */
  public HttpServer(
      HttpSettings settings,
      Models models,
      ServeMetrics metrics,
      BooleanSupplier healthy,
      BooleanSupplier ready,
      Consumer<Completion> completed,
      FeedbackRoute feedback) {
    this.settings = settings;
    this.models = models;
    this.metrics = metrics;
    this.healthy = healthy;
    this.ready = ready;
    this.feedback = feedback;
    this.keys = new ApiKeys(settings.apiKeys());
    this.hosts = new Hosts(settings.host());
    this.connections = Listener.connections(settings);
    RequestBody body = new RequestBody(settings.maxRequestBytes(), settings.requestTimeout());
    this.completions =
        new CompletionRoutes(
            models, body, settings.deadline(), connections, metrics, Clock.systemUTC(), completed);
    metrics.watch(models.lanes());
    metrics.connections(connections::count, connections::timeouts);
    this.server =
        Listener.start(settings, connections, metrics::refused, routing -> routes(routing, body));
  }

  private void routes(HttpRouting.Builder routing, RequestBody body) {
    routing
        .addFilter(this::filter)
        .get("/v1/models", this::listModels)
        .get("/v1/models/{model}", this::describeModel)
        .post("/v1/chat/completions", completions::chat)
        .post("/v1/completions", completions::text)
        .post(
            "/v1/feedback",
            (request, response) -> Responses.json(response, 200, take(request, body)))
        .get(
            "/health",
            (_, response) -> Responses.state(response, healthy.getAsBoolean(), "ok", "failed"))
        .get("/ready", (_, response) -> Responses.state(response, isReady(), "ready", "not ready"))
        .get("/metrics", this::metrics)
        .any(HttpServer::unknown)
        .error(ApiException.class, this::refuse)
        .error(
            Throwable.class,
            (request, response, e) -> {
              LOG.error("{} failed", request.path().path(), e);
              refuse(request, response, ApiException.failed("the server failed; see its log"));
            });
  }

  /** Kafka may take longer than the client had for its request. */
  private ObjectNode take(ServerRequest request, RequestBody body) {
    Fields fields = body.read(request);
    connections.of(request).ifPresent(Connections.Open::responds);
    return feedback.take(fields);
  }

  /** Counts, checks host and key, and watches the time. */
  private void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    inFlight.begin();
    connections.of(request).ifPresent(Connections.Open::reads);
    try {
      hosts.require(request.headers().first(HeaderNames.HOST));
      String path = request.path().path();
      if (!KEYLESS.contains(path)) {
        keys.require(request.headers().first(HeaderNames.AUTHORIZATION));
        if (inFlight.isStopping()) {
          throw ApiException.unavailable(
              "stopping", Duration.ofSeconds(1), "the server stops; try again at another one");
        }
      }
      chain.proceed();
    } catch (ApiException e) {
      // Thrown here, not by a route: Helidon's own handling comes after this filter has counted.
      refuse(request, response, e);
    } finally {
      metrics.answered(label(request), response.status().code());
      connections.of(request).ifPresent(Connections.Open::waits);
      inFlight.end();
    }
  }

  /** Paths of the routes only, so that clients cannot make labels. */
  private static String label(ServerRequest request) {
    String path = request.path().path();
    return switch (path) {
      case "/v1/chat/completions",
          "/v1/completions",
          "/v1/feedback",
          "/v1/models",
          "/health",
          "/ready",
          "/metrics" ->
          path;
      default -> path.startsWith("/v1/models/") ? "/v1/models/{model}" : "other";
    };
  }

  private void refuse(ServerRequest request, ServerResponse response, ApiException error) {
    metrics.refused(error.code());
    Responses.refuse(response, error);
  }

  private static void unknown(ServerRequest request, ServerResponse response) {
    String path = label(request);
    throw path.equals("other")
        ? ApiException.notFound(
            "unknown_url", null, "there is no such path; docs/serving.md lists the paths")
        : ApiException.badMethod("the path %s has no such method".formatted(path));
  }

  private void listModels(ServerRequest request, ServerResponse response) {
    ObjectNode body = JsonNodeFactory.instance.objectNode().put("object", "list");
    ArrayNode data = body.putArray("data");
    models.names().forEach(name -> data.add(model(name)));
    Responses.json(response, 200, body);
  }

  private void describeModel(ServerRequest request, ServerResponse response) {
    String name = request.path().pathParameters().get("model");
    if (!models.names().contains(name)) {
      throw ApiException.notFound(
          "model_not_found", "model", "the model does not exist; /v1/models lists the models");
    }
    Responses.json(response, 200, model(name));
  }

  private ObjectNode model(String name) {
    ObjectNode node =
        JsonNodeFactory.instance
            .objectNode()
            .put("id", name)
            .put("object", "model")
            .put("created", 0)
            .put("owned_by", "millrace");
    models.lanes().stream()
        .filter(lane -> lane.id().equals(name) && lane.version() >= 0)
        .findFirst()
        .ifPresent(lane -> version(node, lane));
    return node;
  }

  private static void version(ObjectNode node, Lane lane) {
    node.put("version", lane.version())
        .put("system_fingerprint", lane.fingerprint(lane.version()))
        .put("max_model_len", lane.codec().orElseThrow().context());
  }

  private boolean isReady() {
    return !inFlight.isStopping()
        && healthy.getAsBoolean()
        && models.isReady()
        && ready.getAsBoolean();
  }

  private void metrics(ServerRequest request, ServerResponse response) {
    response
        .header(HeaderNames.CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")
        .send(metrics.text());
  }

  /** Port on which the server listens. */
  public int port() {
    return server.port();
  }

  /** Address of the server, such as {@code http://127.0.0.1:8000}. */
  public String address() {
    return Listener.address(settings, port());
  }

  /**
   * Takes no new requests, waits for those in flight up to {@link HttpSettings#drain}, and stops.
   */
  @Override
  public void close() {
    inFlight.drain(settings.drain());
    server.stop();
    connections.close();
  }
}
