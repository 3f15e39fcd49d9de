package io.millrace.connectors.kafka;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigData;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.provider.ConfigProvider;

/**
 * Lets Kafka's clients read {@code ${file:PATH}} themselves, in the process that connects: the
 * content of a file without its last line break.
 */
public final class SecretFiles implements ConfigProvider {

  private static final int LONGEST = 64 * 1024;

  @Override
  public ConfigData get(String path) {
    return new ConfigData(Map.of());
  }

  @Override
  public ConfigData get(String path, Set<String> keys) {
    Map<String, String> contents = new HashMap<>();
    for (String key : keys) {
      contents.put(key, read(path == null || path.isEmpty() ? key : path + ":" + key));
    }
    return new ConfigData(contents);
  }

  private static String read(String path) {
    try {
      return new String(PlainFiles.read(Path.of(path), LONGEST), StandardCharsets.UTF_8)
          .stripTrailing();
    } catch (NoSuchFileException e) {
      throw new ConfigException(
          "kafka.properties refer to the file '%s', which does not exist on this machine"
              .formatted(path));
    } catch (FileSystemException e) {
      throw new ConfigException(
          "kafka.properties refer to the file '%s', which %s"
              .formatted(
                  path, e.getReason() == null ? "cannot be read on this machine" : e.getReason()));
    } catch (IOException | InvalidPathException e) {
      throw new ConfigException(
          "kafka.properties refer to the file '%s', which cannot be read (%s) on this machine"
              .formatted(path, e.getClass().getSimpleName()));
    }
  }

  @Override
  public void configure(Map<String, ?> configs) {}

  @Override
  public void close() {}
}
