package io.millrace.cli.bench;

import io.millrace.cli.option.ShapeOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.Directories;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import io.millrace.serve.Server;
import io.millrace.serve.bench.LoadClients;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace bench serve}. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    description =
        "Measures the server of millrace serve with some clients in the same process, in turns with"
            + " sampling alone (bench generate) of the same batch. Prints a line for each number of"
            + " clients.",
    footer = {"", "Example:", "  millrace bench serve --clients 1,8,32,128 --max-tokens 64"})
final class BenchServeCommand implements Callable<Integer> {

  private static final int MOST_CLIENTS = 1024;

  @Mixin private ShapeOptions shape;

  @Option(
      names = "--clients",
      split = ",",
      defaultValue = "1,8,32,128",
      description = "Clients at once (default: ${DEFAULT-VALUE}).")
  private List<Integer> clients;

  @Option(
      names = "--prompt-length",
      defaultValue = "16",
      description = "Tokens of each prompt (default: ${DEFAULT-VALUE}).")
  private int promptLength;

  @Option(
      names = "--max-tokens",
      defaultValue = "64",
      description = "Tokens of each response (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--requests",
      defaultValue = "4",
      description = "Requests of each client in a repetition (default: ${DEFAULT-VALUE}).")
  private int requests;

  @Option(
      names = "--iterations",
      defaultValue = "3",
      description = "Repetitions after the warm-up (default: ${DEFAULT-VALUE}).")
  private int iterations;

  @Override
  public Integer call() throws IOException, InterruptedException {
    ShapeOptions.require("--prompt-length", promptLength);
    ShapeOptions.require("--max-tokens", maxTokens);
    ShapeOptions.require("--requests", requests);
    ShapeOptions.require("--iterations", iterations);
    for (int count : clients) {
      if (count < 1 || count > MOST_CLIENTS) {
        throw new UserException(
            "--clients must be from 1 to %d, not %d".formatted(MOST_CLIENTS, count));
      }
    }
    Path directory = Files.createTempDirectory("millrace-bench");
    try {
      MillraceConfig config =
          ConfigLoader.load(Optional.empty(), shape.settings(promptLength + maxTokens));
      InitialModel.create(config.model(), directory.resolve("policy"));
      for (int count : clients) {
        measure(directory, count);
      }
    } finally {
      Directories.delete(directory);
    }
    return 0;
  }

  private void measure(Path directory, int count) throws IOException, InterruptedException {
    Path policy = directory.resolve("policy");
    try (Backend backend = shape.open();
        CheckpointDirectory checkpoint = CheckpointDirectory.open(policy);
        LanguageModel model = ModelWeights.languageModel(backend, checkpoint);
        Server server =
            Server.start(
                LoadClients.server(directory, policy, count, promptLength + maxTokens, maxTokens),
                shape::open,
                (own, files) -> ModelWeights.languageModel(own, files))) {
      GenerateBench alone =
          new GenerateBench(backend, model, shape.precision(), count, promptLength, maxTokens);
      LoadClients load =
          new LoadClients(
              server.port(), "policy", model.config().vocabSize(), promptLength, maxTokens);
      WarmUp warmUp = new WarmUp();
      while (warmUp.goesOn()) {
        load.run(count, requests);
      }
      double generated = 0;
      double served = 0;
      LoadClients.Result last = null;
      long before = usedHeapMib();
      for (int i = 0; i < iterations; i++) {
        generated = Math.max(generated, alone.run(1).tokensPerSecond());
        last = load.run(count, requests);
        served = Math.max(served, (double) count * requests * maxTokens / last.seconds());
      }
      System.out.println(
          """
          {"case":"serve","backend":"%s","clients":%d,"prompt_length":%d,"max_tokens":%d,\
          "requests":%d,"tokens_per_second":%s,"generate_tokens_per_second":%s,"share":%s,\
          "first_token_p50_ms":%s,"first_token_p95_ms":%s,"heap_mib_before":%d,"heap_mib_after":%d}\
          """
              .formatted(
                  backend.name(),
                  count,
                  promptLength,
                  maxTokens,
                  count * requests * iterations,
                  BenchLine.rounded(served),
                  BenchLine.rounded(generated),
                  BenchLine.rounded(served / generated),
                  BenchLine.rounded(last.firstToken(0.5) * 1e3),
                  BenchLine.rounded(last.firstToken(0.95) * 1e3),
                  before,
                  usedHeapMib()));
    }
  }

  private static long usedHeapMib() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return (runtime.totalMemory() - runtime.freeMemory()) >> 20;
  }
}
