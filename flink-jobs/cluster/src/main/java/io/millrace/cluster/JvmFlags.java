package io.millrace.cluster;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The JVM's flags that our code needs in every process, from {@code model/jvm.options}. The
 * launcher and the tests' JVMs read the same file.
 */
public final class JvmFlags {

  private JvmFlags() {}

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
