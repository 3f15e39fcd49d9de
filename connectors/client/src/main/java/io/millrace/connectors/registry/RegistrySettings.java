package io.millrace.connectors.registry;

import io.millrace.schemas.Nearest;
import java.io.Serializable;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * The connection to a schema registry with Confluent's interface.
 *
 * @param url addresses of the registry, several separated by commas; empty: there is no registry
 * @param properties credentials and TLS, under the names of Confluent's clients. Values may refer
 *     to secrets, such as {@code ${env:NAME}}.
 */
public record RegistrySettings(String url, Map<String, String> properties) implements Serializable {
  /** User and password, with a colon between them. */
  static final String BASIC_AUTH = "basic.auth.user.info";

  /** A token that the registry's identity provider has issued. */
  static final String BEARER_AUTH = "bearer.auth.token";

  /** Begins the names of properties for TLS; they are those of Kafka's clients. */
  static final String TLS = "ssl.";

  private static final List<String> KNOWN =
      List.of(
          BASIC_AUTH,
          BEARER_AUTH,
          "ssl.truststore.type",
          "ssl.truststore.location",
          "ssl.truststore.password",
          "ssl.truststore.certificates",
          "ssl.keystore.type",
          "ssl.keystore.location",
          "ssl.keystore.password",
          "ssl.keystore.key",
          "ssl.keystore.certificate.chain",
          "ssl.key.password");

  /** No registry. */
  public static final RegistrySettings NONE = new RegistrySettings("", Map.of());

  /**
   * @throws IllegalArgumentException naming the option; the message has no secret
   */
  public RegistrySettings {
    url = url.strip();
    properties = Map.copyOf(properties);
    if (!url.isEmpty()) {
      List<URI> _ = addresses(url);
    } else if (!properties.isEmpty()) {
      throw new IllegalArgumentException(
          "schema.registry.properties are set and schema.registry.url is not; set the URL of the"
              + " registry");
    }
    for (String name : new TreeSet<>(properties.keySet())) {
      if (!KNOWN.contains(name)) {
        throw new IllegalArgumentException(
            "schema.registry.properties.%s is no property of a registry%s"
                .formatted(name, Nearest.hint(name, KNOWN)));
      }
    }
    if (properties.containsKey(BASIC_AUTH) && properties.containsKey(BEARER_AUTH)) {
      throw new IllegalArgumentException(
          "schema.registry.properties have both %s and %s; remove one"
              .formatted(BASIC_AUTH, BEARER_AUTH));
    }
  }

  /** Whether there is a registry. */
  public boolean isSet() {
    return !url.isEmpty();
  }

  /** The addresses, without a slash at the end. */
  List<URI> addresses() {
    return addresses(url);
  }

  private static List<URI> addresses(String url) {
    List<URI> addresses = new ArrayList<>();
    for (String one : url.split(",", -1)) {
      URI uri;
      try {
        uri = URI.create(one.strip().replaceFirst("/+$", ""));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(notAnAddress("is not a URL"), e);
      }
      // A URL is printed in messages.
      if (uri.getRawUserInfo() != null || uri.getRawQuery() != null) {
        throw new IllegalArgumentException(
            notAnAddress(
                "must have no user, password or query; set schema.registry.properties."
                    + BASIC_AUTH));
      }
      if (uri.getHost() == null
          || !("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
        throw new IllegalArgumentException(notAnAddress("has '" + one.strip() + "'"));
      }
      addresses.add(uri);
    }
    return List.copyOf(addresses);
  }

  private static String notAnAddress(String problem) {
    return "schema.registry.url %s; it must be http://HOST:PORT or https://HOST:PORT, several separated by commas"
        .formatted(problem);
  }

  /** Leaves out the values of the properties, which may be secrets. */
  @Override
  public String toString() {
    return "RegistrySettings[url=%s, properties=%s]"
        .formatted(url, new TreeSet<>(properties.keySet()));
  }
}
