package io.millrace.tests.examples;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Apicurio Registry in its own process, with its schemas in memory. */
final class RegistryServer implements AutoCloseable {
  private static final Path JAR = Path.of("target", "apicurio", "quarkus-run.jar").toAbsolutePath();
  private static final Pattern PORT =
      Pattern.compile("Listening on: http://127\\.0\\.0\\.1:(\\d+)");
  private static final long PATIENCE_SECONDS = 300;

  private final Process process;
  private final int port;

  private RegistryServer(Process process, int port) {
    this.process = process;
    this.port = port;
  }

  static RegistryServer start(Path directory) throws IOException, InterruptedException {
    Path log = directory.resolve("apicurio.log");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx512m",
                "-Djava.io.tmpdir=" + directory,
                "-Dquarkus.http.host=127.0.0.1",
                "-Dquarkus.http.port=0",
                "-Dquarkus.management.host=127.0.0.1",
                "-Dquarkus.management.port=0",
                "-jar",
                JAR.toString())
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (true) {
      String said = Files.readString(log);
      Matcher matcher = PORT.matcher(said);
      if (matcher.find()) {
        return new RegistryServer(process, Integer.parseInt(matcher.group(1)));
      }
      assertTrue(process.isAlive() && System.nanoTime() < deadline, said);
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }

  /** The address of Confluent's interface. */
  String url() {
    return "http://127.0.0.1:%d/apis/ccompat/v7".formatted(port);
  }

  @Override
  public void close() {
    process.destroy();
  }
}
