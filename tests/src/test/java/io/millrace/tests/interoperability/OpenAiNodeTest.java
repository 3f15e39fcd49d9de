package io.millrace.tests.interoperability;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.models.InitialModel;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.tensor.Backends;
import io.millrace.serve.ServeSettings;
import io.millrace.serve.Server;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * OpenAI's own client for Node against the server. Skipped without {@code node} and {@code npm}, or
 * where npm does not get the package.
 */
@Tag("slow")
class OpenAiNodeTest {

  private static final String PACKAGE = "openai@6.49.0";
  private static final String KEY = "a-key-of-the-test";
  private static final List<String> CHECKS =
      List.of(
          "models",
          "chat completion",
          "streamed chat completion",
          "stream helper",
          "text completion",
          "errors",
          "abort");

  @TempDir private Path directory;

  private record Run(int exitCode, String output) {}

  private Run run(String... command) throws IOException, InterruptedException {
    Path output = Files.createTempFile(directory, "output", ".txt");
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    if (!process.waitFor(3, TimeUnit.MINUTES)) {
      process.destroyForcibly().waitFor();
    }
    return new Run(process.exitValue(), Files.readString(output));
  }

  private boolean succeeds(String... command) throws InterruptedException {
    try {
      return run(command).exitCode() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void theOfficialClientWorksUnchanged() throws Exception {
    assumeTrue(
        succeeds("node", "--version") && succeeds("npm", "--version"),
        "OpenAiNodeTest needs node and npm (Debian: apt-get install nodejs npm)");
    Files.writeString(directory.resolve("package.json"), "{\"private\":true,\"type\":\"module\"}");
    assumeTrue(
        succeeds("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE),
        "OpenAiNodeTest needs the npm package " + PACKAGE);
    try (InputStream script = getClass().getResourceAsStream("openai-client.mjs")) {
      Files.write(directory.resolve("client.mjs"), script.readAllBytes());
    }
    Path policy = directory.resolve("policy");
    InitialModel.create(ConfigLoader.load(Optional.empty(), List.of()).model(), policy);
    ServeSettings settings =
        new ServeSettings(
            new HttpSettings(
                "127.0.0.1",
                0,
                List.of(KEY),
                Optional.empty(),
                1 << 20,
                100,
                Duration.ofSeconds(30),
                Duration.ofSeconds(60),
                Duration.ofSeconds(10)),
            new LaneSettings(8, 32, 512, 128, 0),
            Map.of("policy", new ModelSource.Fixed(policy.toString())),
            Map.of(),
            KafkaSettings.of("127.0.0.1:9092"),
            new CheckpointCache(directory.resolve("cache").toString(), 1 << 20),
            directory.resolve("copies"),
            _ -> true,
            Optional.empty());
    try (Server server =
        Server.start(
            settings,
            Backends::openDefault,
            (backend, checkpoint) -> ModelWeights.languageModel(backend, checkpoint))) {
      Run run = run("node", "client.mjs", server.address() + "/v1", KEY);
      assertEquals(0, run.exitCode(), run.output());
      assertEquals(CHECKS, run.output().lines().toList());
    }
  }
}
