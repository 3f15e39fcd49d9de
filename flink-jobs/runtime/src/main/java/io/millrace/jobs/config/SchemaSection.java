package io.millrace.jobs.config;

import io.millrace.connectors.registry.WireSettings;
import java.io.Serializable;
import java.util.Map;
import java.util.TreeSet;

/** The formats of records, and the registry of their schemas. */
public record SchemaSection(
    Registry registry,
    @Option(
            value = "",
            help =
                "Format in which a topic is written: `single-object`, `confluent` or `json`; the"
                    + " key is the topic without prefix, such as `schema.output.rollouts`. Other"
                    + " topics are written as `single-object`. Every format is read on every"
                    + " topic.")
        Map<String, String> output)
    implements ConfigSection {

  /** A schema registry with Confluent's interface. */
  public record Registry(
      @Option(
              value = "",
              help =
                  "Address of the schema registry, for records with Confluent's framing; several"
                      + " are separated by commas. Apicurio's ends in `/apis/ccompat/v7`.")
          String url,
      @Option(
              value = "",
              help =
                  "Credentials and TLS for the registry, under the names that Kafka's and"
                      + " Confluent's clients have: basic.auth.user.info, ssl.truststore.location"
                      + " and others. `${env:NAME}` and `${file:PATH}` work as in"
                      + " `kafka.properties`.")
          Map<String, String> properties)
      implements Serializable {

    public Registry {
      properties = Map.copyOf(properties);
    }

    /** Names the properties only; their values may be secrets. */
    @Override
    public String toString() {
      return "Registry[url=%s, properties=%s]".formatted(url, new TreeSet<>(properties.keySet()));
    }
  }

  public SchemaSection {
    output = Map.copyOf(output);
    var _ = WireSettings.of(registry.url(), registry.properties(), output);
  }

  /** What these options mean for readers and writers. */
  public WireSettings wire() {
    return WireSettings.of(registry.url(), registry.properties(), output);
  }
}
