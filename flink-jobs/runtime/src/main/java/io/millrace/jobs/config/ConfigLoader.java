package io.millrace.jobs.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads a YAML file, then settings of the form {@code section.key=value} on top of it. */
public final class ConfigLoader {

  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /** Sections with properties whose keys have dots of their own. */
  private static final List<String> PASSED_THROUGH = List.of("kafka", "flink");

  private ConfigLoader() {}

  /** The configuration, or every problem with it in one {@link ConfigException}. */
  public static MillraceConfig load(Optional<Path> file, List<String> settings) {
    return load(file, settings, Optional.empty());
  }

  /**
   * The configuration, or every problem with it in one {@link ConfigException}.
   *
   * @param bootstrapServers the brokers where neither the file nor a setting names any
   */
  public static MillraceConfig load(
      Optional<Path> file, List<String> settings, Optional<String> bootstrapServers) {
    ConfigTree tree = tree(file);
    if (bootstrapServers.isPresent()) {
      tree = tree.withDefaults(List.of("kafka.bootstrap-servers=" + bootstrapServers.get()));
    }
    return tree.config(settings);
  }

  /** What a file says, before settings go on top of it. */
  public static ConfigTree tree(Optional<Path> file) {
    return new ConfigTree(file.map(ConfigLoader::read).orElseGet(YAML::createObjectNode));
  }

  /** The configuration of a tree with settings on top. */
  static MillraceConfig bind(ObjectNode root, List<String> settings) {
    List<String> problems = new ArrayList<>();
    for (String setting : settings) {
      try {
        set(root, setting);
      } catch (ConfigException e) {
        problems.addAll(e.problems());
      }
    }
    try {
      MillraceConfig config =
          RecordBinder.bind(ConfigSections.all(), root, new References(System.getenv()));
      problems.addAll(config.conflicts());
      if (problems.isEmpty()) {
        return config;
      }
    } catch (ConfigException e) {
      problems.addAll(e.problems());
    }
    throw new ConfigException(problems);
  }

  private static ObjectNode read(Path file) {
    try {
      JsonNode node = YAML.readTree(Files.readString(file));
      if (node == null || node.isMissingNode() || node.isNull()) {
        return YAML.createObjectNode();
      }
      if (node instanceof ObjectNode object) {
        return object;
      }
      throw new ConfigException(
          List.of(file + ": expected sections with keys, found " + node.getNodeType()));
    } catch (NoSuchFileException e) {
      throw new ConfigException(List.of("there is no configuration file " + file));
    } catch (JsonProcessingException e) {
      throw new ConfigException(
          List.of(
              "%s, line %d: not YAML: %s"
                  .formatted(
                      file,
                      e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
                      e.getOriginalMessage().lines().findFirst().orElse(""))));
    } catch (CharacterCodingException e) {
      throw new ConfigException(List.of(file + " is not UTF-8 text"));
    } catch (IOException e) {
      throw new ConfigException(List.of("cannot read " + file + ": " + e.getMessage()));
    }
  }

  static void set(ObjectNode root, String setting) {
    int equals = setting.indexOf('=');
    if (equals < 1) {
      throw new ConfigException(List.of("--set takes section.key=value, not '" + setting + "'"));
    }
    String key = setting.substring(0, equals);
    String value = setting.substring(equals + 1);
    for (String section : PASSED_THROUGH) {
      String prefix = section + ".properties.";
      if (key.startsWith(prefix)) {
        child(child(root, section, key), "properties", key)
            .put(key.substring(prefix.length()), value);
        return;
      }
    }
    String[] parts = key.split("\\.", -1);
    ObjectNode section = root;
    for (int i = 0; i < parts.length - 1; i++) {
      section = child(section, parts[i], key);
    }
    section.put(parts[parts.length - 1], value);
  }

  private static ObjectNode child(ObjectNode parent, String name, String key) {
    JsonNode child = parent.get(name);
    if (child == null || child.isNull()) {
      return parent.putObject(name);
    }
    if (child instanceof ObjectNode object) {
      return object;
    }
    throw new ConfigException(List.of(key + ": " + name + " is a value, not a section"));
  }
}
