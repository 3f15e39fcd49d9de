package io.millrace.jobs.runtime;

import java.util.Map;
import org.apache.flink.configuration.ConfigConstants;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.plugin.PluginUtils;

/**
 * Flink's file systems in a process of our own; Flink's processes see to it themselves. They come
 * from the class path and from the plugins directory ({@code FLINK_PLUGINS_DIR}, or {@code plugins}
 * where the process runs).
 */
public final class FileSystems {

  private FileSystems() {}

  /**
   * Makes them ready, with Flink's {@code config.yaml} where {@code FLINK_CONF_DIR} names its
   * directory.
   *
   * @param properties settings on top, such as {@code s3.endpoint}
   */
  public static void initialize(Map<String, String> properties) {
    Configuration configuration =
        System.getenv(ConfigConstants.ENV_FLINK_CONF_DIR) == null
            ? new Configuration()
            : GlobalConfiguration.loadConfiguration();
    configuration.addAll(Configuration.fromMap(properties));
    FileSystem.initialize(
        configuration, PluginUtils.createPluginManagerFromRootFolder(configuration));
  }
}
