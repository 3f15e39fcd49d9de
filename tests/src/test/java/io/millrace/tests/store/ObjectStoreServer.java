package io.millrace.tests.store;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A server that speaks S3's protocol, in its own process, with one bucket. */
final class ObjectStoreServer implements AutoCloseable {
  static final String BUCKET = "millrace";
  static final String SECRET = "a-secret-that-nobody-shall-tell";

  private static final Path JAR = Path.of("target", "s3mock.jar").toAbsolutePath();
  private static final Pattern PORT = Pattern.compile("started on ports.* (\\d+) \\(http\\)");
  private static final long PATIENCE_SECONDS = 120;

  private final Process process;
  private final int port;

  private ObjectStoreServer(Process process, int port) {
    this.process = process;
    this.port = port;
  }

  static ObjectStoreServer start(Path directory) throws IOException, InterruptedException {
    Path log = directory.resolve("s3.log");
    ProcessBuilder command =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx512m",
                "-Djava.io.tmpdir=" + directory,
                "-jar",
                JAR.toString(),
                "--com.adobe.testing.s3mock.http-port=0",
                "--com.adobe.testing.s3mock.vectors.httpPort=0",
                "--com.adobe.testing.s3mock.vectors.httpsPort=0",
                "--com.adobe.testing.s3mock.store.initial-buckets=" + BUCKET,
                "--server.port=0")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    Process process = command.start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (true) {
      String said = Files.readString(log);
      Matcher matcher = PORT.matcher(said);
      if (matcher.find()) {
        return new ObjectStoreServer(process, Integer.parseInt(matcher.group(1)));
      }
      assertTrue(process.isAlive() && System.nanoTime() < deadline, said);
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }

  /**
   * Flink's properties for this server.
   *
   * @param factory which of Flink's two file systems for {@code s3://} is used
   */
  Map<String, String> properties(Factory factory) {
    Map<String, String> properties = new TreeMap<>();
    properties.put("s3.endpoint", "http://127.0.0.1:" + port);
    properties.put("s3.path-style-access", "true");
    properties.put("s3.path.style.access", "true");
    properties.put("s3.region", "us-east-1");
    properties.put("s3.access-key", "somebody");
    properties.put("s3.secret-key", SECRET);
    properties.put("fs.s3.priority." + factory.className, "10");
    return properties;
  }

  /** Flink's file systems for S3. */
  enum Factory {
    NATIVE("org.apache.flink.fs.s3native.NativeS3FileSystemFactory"),
    PRESTO("org.apache.flink.fs.s3presto.S3FileSystemFactory");

    final String className;

    Factory(String className) {
      this.className = className;
    }
  }

  /** The properties as settings of a command, with the secret in {@code S3_SECRET}. */
  List<String> settings(Factory factory) {
    return properties(factory).entrySet().stream()
        .map(
            property ->
                "flink.properties.%s=%s"
                    .formatted(
                        property.getKey(),
                        property.getValue().equals(SECRET)
                            ? "${env:S3_SECRET}"
                            : property.getValue()))
        .toList();
  }

  @Override
  public void close() {
    process.destroy();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
