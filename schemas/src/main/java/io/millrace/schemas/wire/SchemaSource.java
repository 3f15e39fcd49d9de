package io.millrace.schemas.wire;

import java.util.Optional;
import org.apache.avro.Schema;

/** Finds the schemas of writers by their ids in a registry. */
@FunctionalInterface
public interface SchemaSource {

  /**
   * What is registered under an id.
   *
   * @param avro the writer's schema; empty for a JSON Schema: the records are JSON then
   */
  record Registered(Optional<Schema> avro) {}

  /**
   * What is registered under an id. The same id gives the same instance, as long as it is cached.
   *
   * @throws WireFormatException when no record of that id can be read: it is unknown, or no schema
   * @throws java.io.UncheckedIOException when nobody knows, because the registry does not answer
   */
  Registered schema(int id);

  /** A source for readers that have no registry. It refuses every id. */
  static SchemaSource none() {
    return id -> {
      throw new WireFormatException(
          "the value has Confluent framing with schema id %d, and no registry is configured; set schema.registry.url (--schema-registry)"
              .formatted(id));
    };
  }
}
