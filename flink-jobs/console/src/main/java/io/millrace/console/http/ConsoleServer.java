package io.millrace.console.http;

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
import io.millrace.console.annotate.Annotation;
import io.millrace.console.people.Role;
import io.millrace.console.people.Sessions.Session;
import io.millrace.console.talk.Talk;
import io.millrace.console.watch.Watch;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import io.millrace.serve.http.Connections;
import io.millrace.serve.http.Hosts;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.http.Listener;
import io.millrace.serve.http.RequestBody;
import io.millrace.serve.http.RequestsInFlight;
import io.millrace.serve.http.Responses;
import java.util.Locale;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The console's server. {@link #routes} is its table of routes. */
public final class ConsoleServer implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ConsoleServer.class);
  private static final int LONGEST_TOKEN = 256;

  private final HttpSettings settings;
  private final Access access;
  private final Annotation annotation;
  private final Watch watch;
  private final Optional<Talk> talk;
  private final String guidelines;
  private final Hosts hosts;
  private final Connections connections;
  private final RequestBody body;
  private final StaticFiles files = new StaticFiles();
  private final WebServer server;
  private final RequestsInFlight inFlight = new RequestsInFlight();

  /** Takes the fields of a request from an account. */
  private interface Action {
    ObjectNode take(String account, Fields fields);
  }

  /** Answers a request that changes nothing. */
  private interface Question {
    ObjectNode answer(ServerRequest request, Session session);
  }

  /**
   * Starts the server.
   *
   * @param talk empty without a server to talk to
   * @param guidelines text for annotators
   */
  public ConsoleServer(
      HttpSettings settings,
      People people,
      Annotation annotation,
      Watch watch,
      Optional<Talk> talk,
      String guidelines) {
    this.settings = settings;
    this.access = people.access();
    this.annotation = annotation;
    this.watch = watch;
    this.talk = talk;
    this.guidelines = guidelines;
    this.hosts = new Hosts(settings.host());
    this.connections = Listener.connections(settings);
    this.body = new RequestBody(settings.maxRequestBytes(), settings.requestTimeout());
    this.server = Listener.start(settings, connections, _ -> {}, this::routes);
  }

  private void routes(HttpRouting.Builder routing) {
    routing
        .addFilter(this::filter)
        .get("/health", (_, response) -> state(response, true))
        .get(
            "/ready",
            (_, response) -> state(response, annotation.isReady() && !inFlight.isStopping()))
        .get("/api/me", this::me)
        .post("/api/login", this::login)
        .post("/api/logout", this::logout);
    write(routing, "/api/annotate/next", (account, _) -> annotation.next(account));
    write(routing, "/api/annotate/submit", annotation::submit);
    write(routing, "/api/annotate/skip", annotation::skip);
    write(routing, "/api/annotate/withdraw", annotation::withdraw);
    write(routing, "/api/annotate/revise", annotation::revise);
    read(
        routing,
        "/api/annotate/progress",
        Role.ANNOTATOR,
        (_, session) -> annotation.progress(session.account().name()));
    read(routing, "/api/annotate/overview", Role.REVIEWER, (_, _) -> annotation.overview());
    read(
        routing,
        "/api/watch/metrics",
        Role.REVIEWER,
        (request, _) -> watch.metrics(number(request, "after")));
    read(routing, "/api/watch/state", Role.REVIEWER, (_, _) -> watch.state());
    read(
        routing,
        "/api/watch/dead-letters",
        Role.REVIEWER,
        (request, _) -> watch.deadLetters(query(request, "search")));
    read(
        routing,
        "/api/watch/record",
        Role.OPERATOR,
        (request, _) -> watch.record(query(request, "place")));
    read(routing, "/api/talk/models", Role.ANNOTATOR, (_, _) -> talk().models());
    write(routing, "/api/talk/chat", (account, fields) -> talk().chat(account, fields));
    write(routing, "/api/talk/feedback", (account, fields) -> talk().feedback(account, fields));
    routing
        .get(files::send)
        .any(
            (_, _) -> {
              throw ApiException.badMethod("the path has no such method");
            })
        .error(ApiException.class, (_, response, e) -> Responses.refuse(response, e))
        .error(
            Throwable.class,
            (request, response, e) -> {
              LOG.error("{} failed", request.path().path(), e);
              Responses.refuse(response, ApiException.failed("the console failed; see its log"));
            });
  }

  private void write(HttpRouting.Builder routing, String path, Action action) {
    routing.post(
        path,
        (request, response) -> {
          Session session = access.write(request, Role.ANNOTATOR);
          Fields fields = body.read(request);
          responds(request);
          Responses.json(response, 200, action.take(session.account().name(), fields));
        });
  }

  private void read(HttpRouting.Builder routing, String path, Role least, Question question) {
    routing.get(
        path,
        (request, response) -> {
          Session session = access.read(request, least);
          responds(request);
          Responses.json(response, 200, question.answer(request, session));
        });
  }

  private void responds(ServerRequest request) {
    connections.of(request).ifPresent(Connections.Open::responds);
  }

  private void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    inFlight.begin();
    connections.of(request).ifPresent(Connections.Open::reads);
    try {
      StaticFiles.protect(response);
      hosts.require(request.headers().first(HeaderNames.HOST));
      chain.proceed();
    } finally {
      connections.of(request).ifPresent(Connections.Open::waits);
      inFlight.end();
    }
  }

  private static void state(ServerResponse response, boolean good) {
    Responses.state(response, good, "ok", "not ready");
  }

  private void me(ServerRequest request, ServerResponse response) {
    Optional<Session> session = access.session(request, response);
    Responses.json(
        response,
        200,
        session
            .map(this::describe)
            .orElseGet(() -> JsonNodeFactory.instance.objectNode().putNull("name")));
  }

  private ObjectNode describe(Session session) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("name", session.account().name())
        .put("role", session.account().role().name().toLowerCase(Locale.ROOT))
        .put("csrf", session.csrf())
        .put("talk", talk.isPresent())
        .put("guidelines", guidelines);
  }

  private void login(ServerRequest request, ServerResponse response) {
    access.requireAttempt(request);
    String token = body.read(request).requiredText("token", LONGEST_TOKEN);
    Responses.json(response, 200, describe(access.login(request, response, token)));
  }

  private void logout(ServerRequest request, ServerResponse response) {
    Session _ = access.write(request, Role.ANNOTATOR);
    access.logout(request, response);
    Responses.json(response, 200, JsonNodeFactory.instance.objectNode().putNull("name"));
  }

  private Talk talk() {
    return talk.orElseThrow(
        () ->
            ApiException.notFound(
                "no_server", null, "the console has no server to talk to; set console.serve-url"));
  }

  private static String query(ServerRequest request, String name) {
    return request.query().first(name).orElse("");
  }

  private static long number(ServerRequest request, String name) {
    String text = query(request, name);
    if (!text.matches("\\d{0,18}")) {
      throw ApiException.badValue(name, "\"%s\" must be a whole number".formatted(name));
    }
    return text.isEmpty() ? 0 : Long.parseLong(text);
  }

  /** Port on which the server listens. */
  public int port() {
    return server.port();
  }

  /** Address of the console, such as {@code http://127.0.0.1:8010}. */
  public String address() {
    return Listener.address(settings, port());
  }

  /** Waits for the requests in flight, and stops. */
  @Override
  public void close() {
    inFlight.drain(settings.drain());
    server.stop();
    connections.close();
  }
}
