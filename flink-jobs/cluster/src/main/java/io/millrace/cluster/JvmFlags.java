package io.millrace.cluster;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The JVM flags that every process needs, from {@code model/jvm.options}. The launcher and the JVMs
 * of the tests read the same file.
 */
public final class JvmFlags {

  private JvmFlags() {}

  /** The flags, one argument each. */
  public static List<String> required() {
    return resource("jvm.options").lines().filter(line -> !line.isBlank()).toList();
  }

  static String resource(String name) {
    try (InputStream in = JvmFlags.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
