package io.millrace.connectors.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.millrace.connectors.http.BoundedBody;
import io.millrace.connectors.http.Endpoints;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.SslConfigs;
import org.apache.kafka.common.security.ssl.DefaultSslEngineFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Requests to a registry. What may pass by itself is tried again, with growing pauses. */
final class RegistryHttp {
  /** Most bytes of an answer. */
  static final int MOST_BYTES = 2 << 20;

  private static final Logger LOG = LoggerFactory.getLogger(RegistryHttp.class);

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration REQUEST = Duration.ofSeconds(10);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

  private final List<URI> addresses;
  private final Optional<String> authorization;
  private final HttpClient client;
  private final Duration patience;

  /**
   * @param properties of {@link RegistrySettings}, with secrets in place of references
   * @param patience how long a request is tried again
   * @throws IllegalArgumentException when TLS cannot be set up; the message has no secret
   */
  RegistryHttp(List<URI> addresses, Map<String, String> properties, Duration patience) {
    this.addresses = addresses;
    this.patience = patience;
    this.authorization = authorization(properties);
    HttpClient.Builder builder = Endpoints.client(REQUEST);
    Map<String, String> tls = new HashMap<>(properties);
    tls.keySet().removeIf(name -> !name.startsWith(RegistrySettings.TLS));
    if (!tls.isEmpty()) {
      try (DefaultSslEngineFactory factory = new DefaultSslEngineFactory()) {
        ConfigDef definition = new ConfigDef();
        SslConfigs.addClientSslSupport(definition);
        factory.configure(definition.parse(tls));
        builder.sslContext(factory.sslContext());
      } catch (KafkaException e) {
        throw new IllegalArgumentException(
            "TLS for the schema registry cannot be set up: %s; correct schema.registry.properties"
                .formatted(e.getMessage()),
            e);
      }
    }
    this.client = builder.build();
  }

  private static Optional<String> authorization(Map<String, String> properties) {
    String user = properties.get(RegistrySettings.BASIC_AUTH);
    if (user != null) {
      if (user.indexOf(':') < 0) {
        throw new IllegalArgumentException(
            "schema.registry.properties.%s has no colon; it must be USER:PASSWORD"
                .formatted(RegistrySettings.BASIC_AUTH));
      }
      return Optional.of(
          "Basic "
              + Base64.getEncoder().encodeToString(user.strip().getBytes(StandardCharsets.UTF_8)));
    }
    String token = properties.get(RegistrySettings.BEARER_AUTH);
    if (token == null) {
      return Optional.empty();
    }
    // The client's own message would quote it.
    if (!token.strip().matches("[\\x21-\\x7E]+")) {
      throw new IllegalArgumentException(
          "schema.registry.properties.%s has a character that no token has, such as a space"
              .formatted(RegistrySettings.BEARER_AUTH));
    }
    return Optional.of("Bearer " + token.strip());
  }

  /**
   * An answer of the registry.
   *
   * @param body missing if it is no JSON
   * @param tooLarge whether the body has more than {@link #MOST_BYTES}; it is missing then
   */
  record Answer(int status, JsonNode body, boolean tooLarge) {

    boolean isOk() {
      return status == 200;
    }

    /**
     * Whether the registry says that it does not have what the request names. A 404 of another
     * server, such as a proxy, has no such code.
     */
    boolean isNotFound() {
      return status == 404 && body.path("error_code").asText().startsWith("404");
    }

    /** The registry's own message. */
    String message() {
      String message = body.path("message").asText();
      String line = message.lines().findFirst().orElse("");
      return line.length() > 500 ? line.substring(0, 500) + "…" : line;
    }
  }

  /**
   * Sends a request.
   *
   * @param path below the registry's URL
   * @param body JSON; empty for a GET
   * @throws RegistryException when no address has answered within the patience
   */
  Answer send(String path, Optional<JsonNode> body) {
    long end = System.nanoTime() + patience.toNanos();
    Duration pause = FIRST_PAUSE;
    for (int attempt = 0; ; attempt++) {
      URI address = addresses.get(attempt % addresses.size());
      String problem;
      Throwable cause = null;
      try {
        Answer answer = once(URI.create(address + path), body);
        if (!Endpoints.mayPass(answer.status())) {
          return answer;
        }
        problem = "HTTP %d %s".formatted(answer.status(), answer.message()).strip();
      } catch (IOException e) {
        cause = e;
        problem = problem(e);
      }
      if (System.nanoTime() + pause.toNanos() > end) {
        throw new RegistryException(
            "the schema registry at %s (schema.registry.url) does not answer %s: %s"
                .formatted(address, path, problem),
            cause);
      }
      if (attempt == 0) {
        LOG.warn(
            "The schema registry at {} does not answer {}: {}; retrying for {} s",
            address,
            path,
            problem,
            patience.toSeconds());
      }
      pause(pause, address);
      Duration twice = pause.multipliedBy(2);
      pause = twice.compareTo(LONGEST_PAUSE) < 0 ? twice : LONGEST_PAUSE;
    }
  }

  private static String problem(IOException e) {
    if (e.getMessage() != null) {
      return e.getMessage();
    }
    return e instanceof ConnectException ? "nothing listens there" : e.getClass().getSimpleName();
  }

  private Answer once(URI uri, Optional<JsonNode> body) throws IOException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .timeout(REQUEST)
            .header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
    authorization.ifPresent(value -> request.header("Authorization", value));
    if (body.isPresent()) {
      request
          .header("Content-Type", "application/vnd.schemaregistry.v1+json")
          .POST(HttpRequest.BodyPublishers.ofString(body.get().toString()));
    }
    // The request's own timeout ends when the head of the answer is here.
    CompletableFuture<HttpResponse<Optional<byte[]>>> sent =
        client.sendAsync(request.build(), _ -> new BoundedBody(MOST_BYTES));
    HttpResponse<Optional<byte[]>> response;
    try {
      response = sent.get(REQUEST.toMillis() + 1000, TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
    } catch (TimeoutException e) {
      throw new IOException("no whole answer within " + REQUEST.toSeconds() + " seconds", e);
    } catch (InterruptedException e) {
      throw interrupted(uri);
    } finally {
      boolean _ = sent.cancel(true);
    }
    return new Answer(
        response.statusCode(),
        response.body().map(RegistryHttp::json).orElse(MissingNode.getInstance()),
        response.body().isEmpty());
  }

  private static JsonNode json(byte[] body) {
    try {
      return JSON.readTree(new String(body, StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      return MissingNode.getInstance();
    }
  }

  private static void pause(Duration pause, URI address) {
    try {
      Thread.sleep(pause);
    } catch (InterruptedException e) {
      throw interrupted(address);
    }
  }

  private static RegistryException interrupted(URI uri) {
    Thread.currentThread().interrupt();
    return new RegistryException("interrupted while waiting for the schema registry at " + uri);
  }
}
