package io.millrace.tests.gpu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A script of {@code tests/gpu} that has ended. */
record Script(int code, String out, String err) {

  static Script run(Path directory, Duration limit, List<String> command)
      throws IOException, InterruptedException {
    Path out = Files.createTempFile(directory, "script", ".out");
    Path err = Files.createTempFile(directory, "script", ".err");
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try {
      if (!process.waitFor(limit.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError(command + " did not end in " + limit + read(out) + read(err));
      }
      return new Script(process.exitValue(), read(out), read(err));
    } finally {
      process.descendants().forEach(ProcessHandle::destroy);
      process.destroy();
    }
  }

  private static String read(Path file) throws IOException {
    return Files.readString(file);
  }

  /** The line of the table that begins with a check's name. */
  String row(String check) {
    return out.lines()
        .filter(line -> line.startsWith(check))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no row '" + check + "' in " + this));
  }

  /** The last column of a row. */
  String result(String check) {
    return row(check).replaceFirst(".* {2,}", "");
  }

  @Override
  public String toString() {
    return "status " + code + "\n" + out + "\n" + err;
  }
}
