package io.millrace.cli.bench;

import io.millrace.cli.option.ShapeOptions;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.Backend;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace bench}: each case prints one line of JSON. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "CASE",
    subcommands = {BenchGenerateCommand.class, BenchStreamCommand.class},
    description =
        "Measures the training step, scoring, sampling and the whole stream here; each case prints"
            + " one line of JSON. How many threads compute is set by --threads, or for every"
            + " command by MILLRACE_JAVA_OPTS=-Dmillrace.threads=N.",
    footer = {
      "",
      "Example:",
      "  millrace bench update --hidden 256 --layers 4 --heads 8 --kv-heads 4 --ffn 704"
          + " --batch 16 --length 128"
    })
public final class BenchCommand {

  /** What training and scoring cases have in common. */
  static final class BatchOptions {
    @Mixin private ShapeOptions shape;

    @Option(names = "--batch", defaultValue = "16", description = "Rollouts (${DEFAULT-VALUE}).")
    private int batch;

    @Option(
        names = "--length",
        defaultValue = "128",
        description = "Tokens of each rollout, response included (${DEFAULT-VALUE}).")
    private int length;

    @Option(
        names = "--response",
        paramLabel = "N",
        description = "Tokens of each response (half of --length).")
    private Integer response;

    @Option(
        names = "--iterations",
        defaultValue = "7",
        description = "Repetitions after the warm-up (${DEFAULT-VALUE}).")
    private int iterations;

    private interface Bench {
      BenchLine run(Backend backend, LlamaConfig config, int batch, int length, int response);
    }

    private int run(Bench bench) {
      ShapeOptions.require("--batch", batch);
      ShapeOptions.require("--length", length);
      ShapeOptions.require("--iterations", iterations);
      try (Backend backend = shape.open()) {
        System.out.println(
            bench
                .run(
                    backend,
                    shape.config(length),
                    batch,
                    length,
                    response == null ? length / 2 : response)
                .toJson());
      }
      return 0;
    }
  }

  @Command(
      name = "update",
      mixinStandardHelpOptions = true,
      description = "One PPO gradient step of policy and critic: forward, backward, clip, AdamW.")
  int update(
      @Mixin BatchOptions options,
      @Option(
              names = "--kernels",
              description =
                  "Prints a second line: calls, processor time of the calling thread and share of"
                      + " each kernel in one update.")
          boolean kernels) {
    KernelTimes times = new KernelTimes();
    options.run(
        (backend, config, batch, length, response) ->
            new UpdateBench(
                    kernels ? times.timing(backend) : backend, config, batch, length, response)
                .run(options.iterations, times));
    if (kernels) {
      System.out.println(times.toJson(options.iterations));
    }
    return 0;
  }

  @Command(
      name = "score",
      mixinStandardHelpOptions = true,
      description = "Two reward models and the reference policy over a batch of rollouts.")
  int score(@Mixin BatchOptions options) {
    return options.run(
        (backend, config, batch, length, response) ->
            new ScoreBench(backend, config, batch, length, response).run(options.iterations));
  }
}
