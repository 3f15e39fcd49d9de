package io.millrace.connectors.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/** A registry with the part of Confluent's interface that Millrace uses, in this process. */
public final class FakeRegistry implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpServer server;
  private final Map<Integer, ObjectNode> schemas = new TreeMap<>();
  private final Map<String, Integer> subjects = new HashMap<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final AtomicInteger failures = new AtomicInteger();
  private final AtomicInteger refusals = new AtomicInteger();
  private final AtomicReference<Optional<String>> authorization =
      new AtomicReference<>(Optional.empty());

  public FakeRegistry() throws IOException {
    this(HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0));
  }

  FakeRegistry(HttpServer server) {
    this.server = server;
    server.createContext("/", this::handle);
    server.start();
  }

  /** The address of the registry, with a path as Apicurio's. */
  public String url() {
    return "http://127.0.0.1:%d/apis/ccompat/v7".formatted(port());
  }

  int port() {
    return server.getAddress().getPort();
  }

  /** Registers a schema. */
  public synchronized void put(int id, String schema) {
    schemas.put(id, JSON.createObjectNode().put("schema", schema));
  }

  /** Registers what the registry answers for an id. */
  synchronized void answer(int id, ObjectNode body) {
    schemas.put(id, body);
  }

  /** Registers a schema under a subject. */
  synchronized void put(String subject, int id, String schema) {
    put(id, schema);
    subjects.put(subject, id);
  }

  /** Answers so many requests with 503, and then goes on. */
  public void fail(int requests) {
    failures.set(requests);
  }

  /** Refuses the credentials of so many requests, and then goes on. */
  public void refuse(int requests) {
    refusals.set(requests);
  }

  /** Refuses requests without this header. */
  void requireAuthorization(String header) {
    authorization.set(Optional.of(header));
  }

  /** All requests so far, such as {@code GET /schemas/ids/1}. */
  public List<String> requests() {
    return List.copyOf(requests);
  }

  /** How many requests began like this. */
  public long requests(String prefix) {
    return requests.stream().filter(request -> request.startsWith(prefix)).count();
  }

  private void handle(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getRawPath().replaceFirst("^/apis/ccompat/v7", "");
    requests.add(exchange.getRequestMethod() + " " + path);
    byte[] body = exchange.getRequestBody().readAllBytes();
    String sent = exchange.getRequestHeaders().getFirst("Authorization");
    if (failures.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      answer(exchange, 503, error(50301, "starting"));
    } else if (refusals.getAndUpdate(left -> Math.max(0, left - 1)) > 0
        || (authorization.get().isPresent() && !authorization.get().get().equals(sent))) {
      answer(exchange, 401, error(401, "Unauthorized"));
    } else {
      answer(exchange, exchange.getRequestMethod(), path.split("/"), body);
    }
  }

  private synchronized void answer(HttpExchange exchange, String method, String[] path, byte[] body)
      throws IOException {
    if (path[1].equals("schemas") && path[2].equals("types")) {
      answer(exchange, 200, JSON.createArrayNode().add("AVRO"));
    } else if (path[1].equals("schemas")) {
      ObjectNode found = schemas.get(Integer.parseInt(path[3]));
      answer(exchange, found == null ? 404 : 200, found == null ? missing() : found);
    } else {
      subject(exchange, method, path, body);
    }
  }

  private void subject(HttpExchange exchange, String method, String[] path, byte[] body)
      throws IOException {
    String subject = URLDecoder.decode(path[2], StandardCharsets.UTF_8);
    if (method.equals("GET")) {
      Integer id = subjects.get(subject);
      answer(exchange, id == null ? 404 : 200, id == null ? missing() : schemas.get(id));
      return;
    }
    String schema = JSON.readTree(body).path("schema").textValue();
    Integer id = subjects.get(subject);
    boolean same = id != null && schemas.get(id).path("schema").textValue().equals(schema);
    if (path.length == 3 && !same) {
      answer(exchange, 404, missing());
    } else if (id != null && !same) {
      answer(exchange, 409, error(409, "Schema being registered is incompatible"));
    } else {
      if (id == null) {
        id = 100 + schemas.size();
        put(subject, id, schema);
      }
      answer(exchange, 200, JSON.createObjectNode().put("id", id));
    }
  }

  private static ObjectNode missing() {
    return error(40403, "Schema not found");
  }

  private static ObjectNode error(int code, String message) {
    return JSON.createObjectNode().put("error_code", code).put("message", message);
  }

  private static void answer(HttpExchange exchange, int status, JsonNode body) throws IOException {
    byte[] bytes = JSON.writeValueAsBytes(body);
    exchange.getResponseHeaders().add("Content-Type", "application/vnd.schemaregistry.v1+json");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
