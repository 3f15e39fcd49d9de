package io.millrace.jobs.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/** The content of a configuration file, not yet bound to sections. */
public final class ConfigTree {

  private final ObjectNode root;

  ConfigTree(ObjectNode root) {
    this.root = root;
  }

  /**
   * Adds settings whose keys the file does not have, or has without a value.
   *
   * @param defaults each as {@code section.key=value}
   */
  public ConfigTree withDefaults(List<String> defaults) {
    ObjectNode copy = root.deepCopy();
    for (String setting : defaults) {
      String key = setting.substring(0, setting.indexOf('='));
      JsonNode there = copy.at("/" + key.replace('.', '/'));
      if (there.isMissingNode() || there.isNull()) {
        ConfigLoader.set(copy, setting);
      }
    }
    return new ConfigTree(copy);
  }

  /**
   * Puts settings on top.
   *
   * @param settings each as {@code section.key=value}
   */
  public ConfigTree with(List<String> settings) {
    ObjectNode copy = root.deepCopy();
    settings.forEach(setting -> ConfigLoader.set(copy, setting));
    return new ConfigTree(copy);
  }

  ObjectNode copy() {
    return root.deepCopy();
  }

  /**
   * Binds the tree with settings on top.
   *
   * @throws ConfigException with every problem
   */
  public MillraceConfig config(List<String> settings) {
    return ConfigLoader.bind(root.deepCopy(), settings);
  }
}
