package io.millrace.tests.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.schemas.Topic;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** The class path of a program that uses millrace-client: a part of the tests' own. */
final class ClientClassPath {
  private static final Path LIST = Path.of("../connectors/client/class-path.txt");

  private ClientClassPath() {}

  static String find() throws IOException {
    Set<String> libraries =
        Files.readAllLines(LIST).stream()
            .filter(name -> !name.startsWith("millrace-"))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> found = new TreeSet<>();
    Set<String> path = new LinkedHashSet<>();
    path.add(place(PolicyCheckpoints.class));
    path.add(place(Topic.class));
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      String name = Path.of(entry).getFileName().toString().replaceFirst("-\\d.*\\.jar$", "");
      if (libraries.contains(name)) {
        found.add(name);
        path.add(entry);
      }
    }
    assertEquals(libraries, found);
    return String.join(File.pathSeparator, path);
  }

  /** The jar or directory that a class comes from. */
  private static String place(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
