package io.millrace.cli.bench;

import io.millrace.cli.option.ShapeOptions;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace bench}: benchmarks, each of which prints one line of JSON. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "CASE",
    subcommands = {BenchGenerateCommand.class, BenchServeCommand.class, BenchStreamCommand.class},
    description =
        "Measures the training step, scoring, sampling, serving, writing or the whole stream on"
            + " this machine and prints one line of JSON. --threads sets the number of threads of"
            + " one benchmark, MILLRACE_JAVA_OPTS=-Dmillrace.threads=N that of every command.",
    footer = {
      "",
      "Example:",
      "  millrace bench update --hidden 256 --layers 4 --heads 8 --kv-heads 4 --ffn 704"
          + " --batch 16 --length 128"
    })
public final class BenchCommand {

  /** As {@code model.adapter.rank}. */
  private static final int MOST_RANKS = 1024;

  /** As {@code ppo.updaters}. */
  private static final int MOST_UPDATERS = 64;

  /** Options of the cases update and score. */
  static final class BatchOptions {
    @Mixin private ShapeOptions shape;

    @Option(
        names = "--batch",
        defaultValue = "16",
        description = "Rollouts of a batch (default: ${DEFAULT-VALUE}).")
    private int batch;

    @Option(
        names = "--length",
        defaultValue = "128",
        description = "Tokens of each rollout, prompt and response (default: ${DEFAULT-VALUE}).")
    private int length;

    @Option(
        names = "--response",
        paramLabel = "N",
        description = "Tokens of each response (default: half of --length).")
    private Integer response;

    @Option(
        names = "--iterations",
        defaultValue = "7",
        description = "Repetitions after the warm-up (default: ${DEFAULT-VALUE}).")
    private int iterations;

    private BatchShape batchShape() {
      ShapeOptions.require("--batch", batch);
      ShapeOptions.require("--length", length);
      ShapeOptions.require("--iterations", iterations);
      return new BatchShape(batch, length, response == null ? length / 2 : response);
    }

    private interface Bench {
      /** Returns a line of JSON. */
      String run(Backend backend, LlamaConfig config, BatchShape shape) throws IOException;
    }

    private int run(Bench bench) throws IOException {
      BatchShape sizes = batchShape();
      try (Backend backend = shape.open()) {
        System.out.println(bench.run(backend, shape.config(length), sizes));
      }
      return 0;
    }
  }

  @Command(
      name = "update",
      mixinStandardHelpOptions = true,
      description =
          "Measures one PPO update of policy and critic: forward, backward, clipping, AdamW. With"
              + " --advantage rloo, grpo or reinforce++ there is no critic.",
      footer = {
        "",
        "Examples:",
        "  millrace bench update --batch 16 --length 128 --kernels",
        "  millrace bench update --batch 16 --length 128 --advantage rloo"
      })
  int update(
      @Mixin BatchOptions options,
      @Option(
              names = "--kernels",
              description =
                  "Print a second line with the calls, the calling thread's processor time and the"
                      + " share of each kernel in one update.")
          boolean kernels,
      @Option(
              names = "--advantage",
              defaultValue = "gae",
              paramLabel = "METHOD",
              description = "ppo.advantage: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
          AdvantageMethod advantage)
      throws IOException {
    KernelTimes times = new KernelTimes();
    options.run(
        (backend, config, batch) ->
            new UpdateBench(kernels ? times.timing(backend) : backend, config, batch, advantage)
                .run(options.iterations, times)
                .toJson());
    if (kernels) {
      System.out.println(times.toJson(options.iterations));
    }
    return 0;
  }

  @Command(
      name = "updaters",
      mixinStandardHelpOptions = true,
      description = {
        "Measures one PPO update of policy and critic by several updaters (ppo.updaters) in this"
            + " process, and the share of its time that is exchange. Prints a line for each number"
            + " of updaters.",
        "All updaters share the threads of the process: more of them are faster on more machines"
            + " only.",
      },
      footer = {"", "Example:", "  millrace bench updaters --updaters 1,2,4 --shard-optimizer"})
  int updaters(
      @Mixin BatchOptions options,
      @Option(
              names = "--updaters",
              split = ",",
              defaultValue = "1,2,4",
              paramLabel = "N",
              description = "Numbers of updaters (default: ${DEFAULT-VALUE}).")
          List<Integer> updaters,
      @Option(
              names = "--shard-optimizer",
              description = "Each updater has the moments of a part of the weights.")
          boolean sharded)
      throws IOException {
    BatchShape batch = options.batchShape();
    for (int count : updaters) {
      ShapeOptions.require("--updaters", count, Math.min(batch.batch(), MOST_UPDATERS));
    }
    UpdatersBench bench =
        new UpdatersBench(
            options.shape::open, options.shape.config(options.length), batch, sharded);
    for (int count : updaters) {
      System.out.println(bench.run(count, options.iterations).toJson());
    }
    return 0;
  }

  @Command(
      name = "score",
      mixinStandardHelpOptions = true,
      description = "Measures two reward models and the reference policy on a batch of rollouts.",
      footer = {"", "Example:", "  millrace bench score --batch 16 --length 128"})
  int score(@Mixin BatchOptions options) throws IOException {
    return options.run(
        (backend, config, batch) ->
            new ScoreBench(backend, config, batch).run(options.iterations).toJson());
  }

  @Command(
      name = "write",
      mixinStandardHelpOptions = true,
      description =
          "Measures how long training stands still while its weights and moments are written, with"
              + " copies on the device and without.",
      footer = {"", "Example:", "  millrace bench write --hidden 512 --layers 8"})
  int write(@Mixin BatchOptions options) throws IOException {
    return options.run(
        (backend, config, batch) -> new WriteBench(backend, config, batch).run(options.iterations));
  }

  @Command(
      name = "adapters",
      mixinStandardHelpOptions = true,
      description =
          "Measures a batch of rollouts when adapters are trained: two reward models and the"
              + " reference policy score it, then policy and critic learn from it. All five share"
              + " frozen weights. Prints the planned memory too.",
      footer = {"", "Example:", "  millrace bench adapters --rank 16 --recompute"})
  int adapters(
      @Mixin BatchOptions options,
      @Option(
              names = "--rank",
              defaultValue = "16",
              description = "model.adapter.rank (default: ${DEFAULT-VALUE}).")
          int rank,
      @Option(
              names = "--micro-batch",
              defaultValue = "0",
              paramLabel = "TOKENS",
              description = "compute.micro-batch-tokens (default: ${DEFAULT-VALUE}).")
          int microBatch,
      @Option(
              names = "--recompute",
              description = "Recompute activations, compute.recompute-activations.")
          boolean recompute) {
    ShapeOptions.require("--rank", rank, MOST_RANKS);
    if (microBatch != 0) {
      ShapeOptions.require("--micro-batch", microBatch);
    }
    AdapterBench bench =
        new AdapterBench(
            options.shape::open,
            options.shape.precision(),
            options.shape.config(options.length),
            options.batchShape(),
            new AdapterConfig(rank, rank, AdapterConfig.PROJECTIONS),
            new ActivationMemory(microBatch, recompute));
    System.out.println(bench.run(options.iterations).toJson());
    return 0;
  }
}
