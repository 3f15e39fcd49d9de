package io.millrace.connectors.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.millrace.connectors.registry.RegistryHttp.Answer;
import io.millrace.schemas.wire.SchemaFiles;
import io.millrace.schemas.wire.SchemaSource;
import io.millrace.schemas.wire.WireFormatException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;
import org.apache.avro.Schema;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A schema registry with Confluent's interface (Confluent Schema Registry, Apicurio, Karapace). An
 * id is asked for once: registered schemas never change, and an id that the registry does not have
 * is refused for a minute without asking again. For one thread.
 */
public final class SchemaRegistry implements SchemaSource {
  private static final Logger LOG = LoggerFactory.getLogger(SchemaRegistry.class);

  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final Duration REFUSED_FOR = Duration.ofMinutes(1);
  private static final int MOST_SCHEMAS = 1000;
  private static final int MOST_REFERENCES = 50;
  private static final int MOST_MESSAGE = 500;

  private final String url;
  private final RegistryHttp http;
  private final LongSupplier nanoTime;
  private final Map<Integer, Registered> found = bounded();
  private final Map<Integer, Refused> refused = bounded();

  /** Why no record with an id can be read, and since when. */
  private record Refused(WireFormatException problem, long since) {}

  /**
   * @param settings of a registry
   * @param properties those of the settings, with secrets in place of references
   */
  public SchemaRegistry(RegistrySettings settings, Map<String, String> properties) {
    this(settings, properties, PATIENCE, System::nanoTime);
  }

  SchemaRegistry(
      RegistrySettings settings,
      Map<String, String> properties,
      Duration patience,
      LongSupplier nanoTime) {
    this.url = settings.url();
    this.http = new RegistryHttp(settings.addresses(), properties, patience);
    this.nanoTime = nanoTime;
  }

  private static <V> Map<Integer, V> bounded() {
    return new LinkedHashMap<>(16, 0.75f, true) {
      private static final long serialVersionUID = 1L;

      @Override
      protected boolean removeEldestEntry(Map.Entry<Integer, V> eldest) {
        return size() > MOST_SCHEMAS;
      }
    };
  }

  /**
   * {@inheritDoc}
   *
   * @throws RegistryException when the registry does not answer, or refuses this client
   */
  @Override
  public Registered schema(int id) {
    Registered known = found.get(id);
    if (known != null) {
      return known;
    }
    Refused before = refused.get(id);
    if (before != null && nanoTime.getAsLong() - before.since() < REFUSED_FOR.toNanos()) {
      throw before.problem();
    }
    try {
      Registered fetched = fetch(id);
      found.put(id, fetched);
      refused.remove(id);
      return fetched;
    } catch (WireFormatException e) {
      refused.put(id, new Refused(e, nanoTime.getAsLong()));
      LOG.warn("Records are refused: {}", e.getMessage());
      throw e;
    }
  }

  private Registered fetch(int id) {
    if (id < 0) {
      throw unknown(id);
    }
    Answer answer = http.send("/schemas/ids/" + id, Optional.empty());
    if (answer.isNotFound()) {
      throw unknown(id);
    }
    requireOk(answer, "the schema with id " + id);
    String type = answer.body().path("schemaType").asText("AVRO");
    if (type.equals("JSON")) {
      return new Registered(Optional.empty());
    }
    if (!type.equals("AVRO")) {
      throw WireFormatException.incompatibleSchema(
          "schema id %d is of type %s; write Avro or JSON".formatted(id, type), null);
    }
    return new Registered(Optional.of(parse(id, answer.body())));
  }

  private WireFormatException unknown(int id) {
    return WireFormatException.unknownSchema(
        "schema id %d is not in the registry at %s; register the schema there, or correct schema.registry.url, and send the record again"
            .formatted(id, url));
  }

  private Schema parse(int id, JsonNode body) {
    try {
      Schema.Parser parser = new Schema.Parser();
      addReferences(body.path("references"), parser, new HashSet<>());
      return parser.parse(text(body));
    } catch (WireFormatException | RegistryException e) {
      throw e;
    } catch (RuntimeException | StackOverflowError e) {
      throw WireFormatException.incompatibleSchema(
          "schema id %d of the registry at %s is no Avro schema: %s"
              .formatted(id, url, beginning(e.getMessage())),
          e);
    }
  }

  /** Avro's messages may quote a whole schema. */
  private static String beginning(String message) {
    String text = String.valueOf(message);
    return text.length() > MOST_MESSAGE ? text.substring(0, MOST_MESSAGE) + "…" : text;
  }

  /** Parses the schemas to which a schema refers, those to which they refer first. */
  private void addReferences(JsonNode references, Schema.Parser parser, Set<String> seen) {
    for (JsonNode reference : references) {
      String path =
          "/subjects/%s/versions/%d"
              .formatted(
                  encode(reference.path("subject").asText()), reference.path("version").asInt());
      if (!seen.add(path)) {
        continue;
      }
      if (seen.size() > MOST_REFERENCES) {
        throw new IllegalArgumentException(
            "it refers to more than %d other schemas".formatted(MOST_REFERENCES));
      }
      Answer answer = http.send(path, Optional.empty());
      if (answer.isNotFound()) {
        throw new IllegalArgumentException("it refers to %s, which is not there".formatted(path));
      }
      requireOk(answer, path);
      addReferences(answer.body().path("references"), parser, seen);
      Schema _ = parser.parse(text(answer.body()));
    }
  }

  private String text(JsonNode body) {
    JsonNode schema = body.path("schema");
    if (!schema.isTextual()) {
      throw new RegistryException(
          "the schema registry at %s (schema.registry.url) answered without a schema; is it the URL of a registry with Confluent's interface?"
              .formatted(url));
    }
    return schema.textValue();
  }

  /**
   * Asks for something that every registry has.
   *
   * @throws RegistryException when it does not answer, or refuses this client
   */
  public void require() {
    requireOk(http.send("/schemas/types", Optional.empty()), "/schemas/types");
  }

  /**
   * The id of a schema under a subject. It is registered there, if it is not yet.
   *
   * @throws RegistryException when the registry does not answer, or refuses the schema
   */
  public int idOf(String subject, Schema schema) {
    JsonNode body =
        JsonNodeFactory.instance.objectNode().put("schema", SchemaFiles.selfContained(schema));
    String path = "/subjects/" + encode(subject);
    // A client without the right to write can still ask for the id of a registered schema.
    Answer answer = http.send(path, Optional.of(body));
    if (answer.isNotFound()) {
      answer = http.send(path + "/versions", Optional.of(body));
      if (answer.isOk()) {
        LOG.info("Registered the schema of {} under {}", schema.getFullName(), subject);
      }
    }
    if (answer.status() == 409) {
      throw new RegistryException(
          "the schema registry at %s refuses the schema of %s as incompatible with earlier ones under the subject %s: %s; change the compatibility of that subject, or write the topic in another format (schema.output)"
              .formatted(url, schema.getName(), subject, answer.message()));
    }
    requireOk(answer, "the subject " + subject);
    JsonNode id = answer.body().path("id");
    if (!id.canConvertToInt() || id.intValue() < 0) {
      throw new RegistryException(
          "the schema registry at %s answered without an id for the subject %s"
              .formatted(url, subject));
    }
    return id.intValue();
  }

  private void requireOk(Answer answer, String what) {
    if (answer.tooLarge()) {
      throw WireFormatException.incompatibleSchema(
          "%s in the registry at %s has more than %d bytes"
              .formatted(what, url, RegistryHttp.MOST_BYTES),
          null);
    }
    if (answer.isOk()) {
      return;
    }
    String advice =
        switch (answer.status()) {
          case 401, 403 ->
              "correct schema.registry.properties.basic.auth.user.info, or grant it access";
          case 404 -> "is it the URL of a registry with Confluent's interface?";
          default -> "correct schema.registry.url";
        };
    throw new RegistryException(
        "the schema registry at %s (schema.registry.url) refuses a request for %s: HTTP %d %s; %s"
            .formatted(url, what, answer.status(), answer.message(), advice)
            .replace(" ;", ";"));
  }

  private static String encode(String segment) {
    return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
