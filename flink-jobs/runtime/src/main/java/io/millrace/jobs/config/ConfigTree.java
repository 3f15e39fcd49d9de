package io.millrace.jobs.config;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/** A configuration file as it was read, from which configurations are made. */
public final class ConfigTree {

  private final ObjectNode root;

  ConfigTree(ObjectNode root) {
    this.root = root;
  }

  /** The same with values where it names none, as {@code section.key=value}. */
  public ConfigTree withDefaults(List<String> defaults) {
    ObjectNode copy = root.deepCopy();
    for (String setting : defaults) {
      String key = setting.substring(0, setting.indexOf('='));
      if (copy.at("/" + key.replace('.', '/')).isMissingNode()) {
        ConfigLoader.set(copy, setting);
      }
    }
    return new ConfigTree(copy);
  }

  /** The same with other values, as {@code section.key=value}. */
  public ConfigTree with(List<String> settings) {
    ObjectNode copy = root.deepCopy();
    settings.forEach(setting -> ConfigLoader.set(copy, setting));
    return new ConfigTree(copy);
  }

  /**
   * The configuration with settings on top, or every problem with it in one {@link
   * ConfigException}.
   */
  public MillraceConfig config(List<String> settings) {
    return ConfigLoader.bind(root.deepCopy(), settings);
  }
}
