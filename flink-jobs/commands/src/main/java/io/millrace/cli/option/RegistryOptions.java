package io.millrace.cli.option;

import io.millrace.connectors.registry.WireSettings;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Options of every command that reads or writes records. */
public final class RegistryOptions {

  @Option(
      names = "--schema-registry",
      paramLabel = "URL",
      description =
          "Schema registry, as schema.registry.url of the jobs, for records with Confluent's"
              + " framing.")
  private Optional<String> url;

  @Option(
      names = "--schema-registry-property",
      paramLabel = "KEY=VALUE",
      description =
          "Property of the registry, such as basic.auth.user.info=$${env:REGISTRY_USER_INFO}; may"
              + " be repeated.")
  private Map<String, String> properties = new LinkedHashMap<>();

  /**
   * The formats of records.
   *
   * @param output the names of formats by topic
   * @throws UserException naming the option that is wrong
   */
  public WireSettings wire(Map<String, String> output) {
    try {
      return WireSettings.of(url.orElse(""), properties, output);
    } catch (IllegalArgumentException e) {
      throw new UserException(
          e.getMessage()
              .replace("schema.registry.properties.", "--schema-registry-property ")
              .replace("schema.registry.properties", "--schema-registry-property")
              .replace("schema.registry.url", "--schema-registry")
              .replaceFirst("^schema\\.output\\.[a-z-]+:? ", "--format "));
    }
  }
}
