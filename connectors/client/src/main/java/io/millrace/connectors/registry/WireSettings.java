package io.millrace.connectors.registry;

import io.millrace.schemas.Nearest;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.WireFormat;
import java.io.Serializable;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The formats of values in topics. Readers read every format; the settings say what writers write.
 *
 * @param registry has the schemas of Confluent's framing
 * @param formats by topic without prefix; other topics have single-object encoding
 */
public record WireSettings(RegistrySettings registry, Map<String, WireFormat> formats)
    implements Serializable {
  /** Single-object encoding in every topic, and no registry. */
  public static final WireSettings DEFAULT = new WireSettings(RegistrySettings.NONE, Map.of());

  /**
   * @throws IllegalArgumentException for an unknown topic, or Confluent's framing without registry
   */
  public WireSettings {
    formats = Map.copyOf(formats);
    List<String> topics = Topic.all().stream().map(Topic::name).toList();
    for (Map.Entry<String, WireFormat> format : new TreeMap<>(formats).entrySet()) {
      if (!topics.contains(format.getKey())) {
        throw new IllegalArgumentException(
            "schema.output.%s names no topic%s"
                .formatted(format.getKey(), Nearest.hint(format.getKey(), topics)));
      }
      if (format.getValue() == WireFormat.CONFLUENT && !registry.isSet()) {
        throw new IllegalArgumentException(
            "schema.output.%s is confluent, which needs a registry; set schema.registry.url"
                .formatted(format.getKey()));
      }
    }
  }

  /**
   * Settings from the texts of a configuration.
   *
   * @param output the names of formats by topic
   * @throws IllegalArgumentException naming the option
   */
  public static WireSettings of(
      String url, Map<String, String> properties, Map<String, String> output) {
    Map<String, WireFormat> formats = new HashMap<>();
    new TreeMap<>(output)
        .forEach(
            (topic, name) -> {
              try {
                formats.put(topic, WireFormat.named(name));
              } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(
                    "schema.output.%s: %s".formatted(topic, e.getMessage()), e);
              }
            });
    return new WireSettings(new RegistrySettings(url, properties), formats);
  }

  /** The format in which a topic is written. */
  public WireFormat formatOf(Topic<?> topic) {
    return formats.getOrDefault(topic.name(), WireFormat.SINGLE_OBJECT);
  }
}
