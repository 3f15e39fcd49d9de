package io.millrace.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;

/**
 * A command that ran in this process, and what it printed.
 *
 * @param code its exit code
 * @param out what it printed to standard output
 * @param error what it printed to standard error
 */
public record CommandRun(int code, String out, String error) {

  /** Runs a command. */
  public static CommandRun of(String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream error = new ByteArrayOutputStream();
    PrintStream stdout = System.out;
    PrintStream stderr = System.err;
    try (PrintStream capturedOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream capturedError = new PrintStream(error, true, StandardCharsets.UTF_8)) {
      System.setOut(capturedOut);
      System.setErr(capturedError);
      int code =
          Millrace.commandLine()
              .setOut(new PrintWriter(capturedOut, true, StandardCharsets.UTF_8))
              .setErr(new PrintWriter(capturedError, true, StandardCharsets.UTF_8))
              .execute(arguments);
      return new CommandRun(
          code,
          out.toString(StandardCharsets.UTF_8),
          withoutLog(error.toString(StandardCharsets.UTF_8)));
    } finally {
      System.setOut(stdout);
      System.setErr(stderr);
    }
  }

  /** The lines of Millrace. */
  private static String withoutLog(String error) {
    StringBuilder kept = new StringBuilder();
    error
        .lines()
        .filter(line -> line.startsWith("millrace: "))
        .forEach(line -> kept.append(line).append('\n'));
    return kept.toString();
  }
}
