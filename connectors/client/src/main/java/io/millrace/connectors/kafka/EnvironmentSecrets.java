package io.millrace.connectors.kafka;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigData;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.provider.ConfigProvider;

/**
 * Lets Kafka's clients read {@code ${env:NAME}} themselves, in the process that connects. Kafka's
 * own provider would take the reference for the secret where the variable is not set.
 */
public final class EnvironmentSecrets implements ConfigProvider {

  @Override
  public ConfigData get(String path) {
    return new ConfigData(Map.of());
  }

  @Override
  public ConfigData get(String path, Set<String> names) {
    Map<String, String> values = new HashMap<>();
    for (String name : names) {
      String value = System.getenv(name);
      if (value == null) {
        throw new ConfigException(
            "kafka.properties refer to the environment variable '%s', which is not set in this process"
                .formatted(name));
      }
      values.put(name, value);
    }
    return new ConfigData(values);
  }

  @Override
  public void configure(Map<String, ?> configs) {}

  @Override
  public void close() {}
}
