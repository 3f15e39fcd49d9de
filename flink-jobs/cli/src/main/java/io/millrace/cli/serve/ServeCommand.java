package io.millrace.cli.serve;

import io.millrace.cli.option.ConfigSource;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.BaseModels;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.serve.Server;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace serve}. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    description = {
      "Serves policies over HTTP, for clients of OpenAI's API.",
      "It follows the announced versions, and changes the version between requests. With --record"
          + " its responses and the feedback on them become training data (docs/serving.md)."
    },
    footer = {
      "",
      "Examples:",
      "  millrace serve --checkpoint millrace-data/checkpoints/policy/v000061",
      "  millrace serve --config millrace.yaml --record",
      "  millrace serve --set serve.models.policy=promoted --set serve.port=9000",
    })
public final class ServeCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "Serves this checkpoint alone, under the name policy, and needs no Kafka.")
  private Optional<String> checkpoint;

  @Option(names = "--host", description = "Name or address to listen on (serve.host).")
  private Optional<String> host;

  @Option(names = "--port", description = "Port, 0 for a free one (serve.port).")
  private Optional<Integer> port;

  @Option(
      names = "--record",
      description = "Takes feedback, and sends it and the responses to Kafka (serve.record).")
  private boolean record;

  @Mixin private ConfigSource source;

  @Override
  public Integer call() throws IOException, InterruptedException {
    MillraceConfig config = load();
    FileSystems.initialize(config.flink().resolvedProperties());
    CheckpointCache cache = JobSettings.cache(config);
    Server server =
        Server.start(
            ServeOptions.of(config, checkpoint),
            () -> config.compute().open(),
            (backend, files) -> BaseModels.languageModel(backend, cache, files));
    ServeSection section = config.section(ServeSection.class);
    if (!InetAddress.getByName(section.host()).isLoopbackAddress()
        && ServeOptions.apiKeys(section).isEmpty()) {
      System.err.println(
          "millrace: %s is no loopback address, and there are no API keys: every machine that reaches it can use this server (serve.api-keys-file)"
              .formatted(section.host()));
    }
    runUntilSignal("serving at " + server.address() + "/v1", "stop-serving", server::close);
    return 0;
  }

  /**
   * Says that a server is there, waits until the process is to end, and closes the server then.
   *
   * @param started the line to print
   * @param name of the thread that closes
   */
  static void runUntilSignal(String started, String name, Runnable close)
      throws InterruptedException {
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  System.err.println("millrace: ending the requests in flight");
                  close.run();
                  stopped.countDown();
                },
                name));
    System.out.println(started);
    stopped.await();
  }

  private MillraceConfig load() {
    List<String> settings = new ArrayList<>(source.settings());
    host.ifPresent(name -> settings.add("serve.host=" + name));
    port.ifPresent(number -> settings.add("serve.port=" + number));
    if (record) {
      settings.add("serve.record=true");
    }
    MillraceConfig config =
        ConfigLoader.load(
                source.file(), settings, Optional.empty(), List.of(ServeSection.class), _ -> {})
            .withAbsolutePaths();
    if (checkpoint.isPresent() && !config.section(ServeSection.class).models().isEmpty()) {
      throw new UserException("--checkpoint and serve.models exclude each other; leave one out");
    }
    return config;
  }
}
