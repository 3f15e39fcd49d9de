package io.millrace.cli;

import io.millrace.connectors.broker.EmbeddedBroker;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.commons.io.FileUtils;

/**
 * Runs the commands that people expect to be quick, against a broker of its own. The launcher runs
 * this class once, when it builds, and has the JVM archive the classes that these commands load.
 */
final class ClassArchive {

  private ClassArchive() {}

  /** Prints nothing but errors of its own: the commands' output goes nowhere. */
  public static void main(String[] args) throws IOException {
    PrintStream out = System.out;
    PrintStream err = System.err;
    Path directory = Files.createTempDirectory("millrace-class-archive");
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory, 0)) {
      PrintStream nowhere =
          new PrintStream(PrintStream.nullOutputStream(), true, StandardCharsets.UTF_8);
      System.setOut(nowhere);
      System.setErr(nowhere);
      String server = "--bootstrap-servers=" + broker.bootstrapServers();
      for (List<String> command :
          List.of(
              List.of("help"),
              List.of("version"),
              List.of("topics", "--create", server),
              List.of("topics", server),
              List.of("status", "--rest=http://127.0.0.1:1"))) {
        Millrace.commandLine().execute(command.toArray(String[]::new));
      }
    } finally {
      System.setOut(out);
      System.setErr(err);
      FileUtils.deleteDirectory(directory.toFile());
    }
  }
}
