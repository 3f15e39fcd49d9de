package io.millrace.jobs.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.jobs.config.yaml.YamlTree;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Reads a YAML file and puts settings {@code section.key=value} on top. */
public final class ConfigLoader {

  /** Properties whose own keys contain dots. */
  private static final List<String> PASSED_THROUGH =
      List.of("kafka.properties", "flink.properties", "schema.registry.properties");

  private ConfigLoader() {}

  /**
   * Loads a configuration.
   *
   * @throws ConfigException with every problem
   */
  public static MillraceConfig load(Optional<Path> file, List<String> settings) {
    return load(file, settings, Optional.empty());
  }

  /**
   * Loads a configuration.
   *
   * @param bootstrapServers default of {@code kafka.bootstrap-servers}
   * @throws ConfigException with every problem
   */
  public static MillraceConfig load(
      Optional<Path> file, List<String> settings, Optional<String> bootstrapServers) {
    ConfigTree tree = tree(file);
    if (bootstrapServers.isPresent()) {
      tree = tree.withDefaults(List.of("kafka.bootstrap-servers=" + bootstrapServers.get()));
    }
    return tree.config(settings);
  }

  /**
   * Loads the configuration of a job. A section that the job does not use cannot stop it.
   *
   * @param bootstrapServers default of {@code kafka.bootstrap-servers}
   * @param used sections of the job; the shared ones need not be named
   * @param unused takes the problems of other sections
   * @throws ConfigException with every problem of the sections used
   */
  public static MillraceConfig load(
      Optional<Path> file,
      List<String> settings,
      Optional<String> bootstrapServers,
      Collection<Class<? extends ConfigSection>> used,
      Consumer<String> unused) {
    ConfigTree tree = tree(file);
    if (bootstrapServers.isPresent()) {
      tree = tree.withDefaults(List.of("kafka.bootstrap-servers=" + bootstrapServers.get()));
    }
    List<Class<? extends ConfigSection>> all = new ArrayList<>(used);
    all.addAll(ConfigSections.SHARED.values());
    return bind(tree.copy(), settings, all, unused);
  }

  /** Reads a file without binding it. */
  public static ConfigTree tree(Optional<Path> file) {
    return new ConfigTree(
        file.map(ConfigLoader::read).orElseGet(JsonNodeFactory.instance::objectNode));
  }

  /** Binds a tree with settings on top. */
  static MillraceConfig bind(ObjectNode root, List<String> settings) {
    return bind(root, settings, ConfigSections.all().values(), problem -> {});
  }

  private static MillraceConfig bind(
      ObjectNode root,
      List<String> settings,
      Collection<Class<? extends ConfigSection>> used,
      Consumer<String> unused) {
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
          RecordBinder.bind(
              ConfigSections.all(), used, root, new References(System.getenv()), unused);
      problems.addAll(config.only(used).conflicts());
      if (problems.isEmpty()) {
        return config;
      }
    } catch (ConfigException e) {
      problems.addAll(e.problems());
    }
    throw new ConfigException(problems);
  }

  /** Far above any configuration. */
  private static final int MOST_BYTES = 4 << 20;

  private static ObjectNode read(Path file) {
    try {
      return YamlTree.parse(PlainFiles.readText(file, MOST_BYTES));
    } catch (IllegalArgumentException e) {
      throw new ConfigException(List.of("%s is not valid: %s".formatted(file, e.getMessage())));
    } catch (NoSuchFileException e) {
      throw new ConfigException(
          List.of("the configuration file " + file + " does not exist; correct --config"));
    } catch (CharacterCodingException e) {
      throw new ConfigException(
          List.of(file + " is not UTF-8; convert it, for example with iconv"));
    } catch (IOException e) {
      throw new ConfigException(List.of("cannot read " + file + ": " + e.getMessage()));
    }
  }

  static void set(ObjectNode root, String setting) {
    int equals = setting.indexOf('=');
    if (equals < 1) {
      throw new ConfigException(List.of("--set must be section.key=value, not '" + setting + "'"));
    }
    String key = setting.substring(0, equals);
    String value = setting.substring(equals + 1);
    String[] parts = key.split("\\.", -1);
    if (Arrays.stream(parts).anyMatch(String::isBlank)) {
      throw new ConfigException(
          List.of("--set must be section.key=value without empty parts, not '" + setting + "'"));
    }
    remove(root, parts, 0);
    for (String properties : PASSED_THROUGH) {
      if (key.startsWith(properties + ".")) {
        ObjectNode node = root;
        for (String part : properties.split("\\.", -1)) {
          node = child(node, part, key);
        }
        node.put(key.substring(properties.length() + 1), value);
        return;
      }
    }
    ObjectNode section = root;
    for (int i = 0; i < parts.length - 1; i++) {
      section = child(section, parts[i], key);
    }
    section.put(parts[parts.length - 1], value);
  }

  /** Removes a key however the file divides it into sections and dots. */
  private static void remove(ObjectNode node, String[] parts, int from) {
    for (int to = from + 1; to <= parts.length; to++) {
      String name = String.join(".", Arrays.asList(parts).subList(from, to));
      if (to == parts.length) {
        node.remove(name);
      } else if (node.get(name) instanceof ObjectNode section) {
        remove(section, parts, to);
      }
    }
  }

  private static ObjectNode child(ObjectNode parent, String name, String key) {
    JsonNode child = parent.get(name);
    if (child == null || child.isNull()) {
      return parent.putObject(name);
    }
    if (child instanceof ObjectNode object) {
      return object;
    }
    throw new ConfigException(
        List.of(key + " cannot be set: " + name + " is a value, not a section"));
  }
}
