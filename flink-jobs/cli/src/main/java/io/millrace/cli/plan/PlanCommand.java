package io.millrace.cli.plan;

import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.MemoryPlan;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.tensor.Precision;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace plan}. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    description = {
      "Prints how much memory each part of training takes, and on which devices it fits.",
      "The model's shape is read, not its weights. Libraries and fragmentation take more: keep a"
          + " tenth of the device free.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace plan --model models/llama-8b --adapter-rank 16 --precision bfloat16",
      "  millrace plan --model models/llama-1b --batch 8192 --recompute",
      "  millrace plan --model models/llama-1b --advantage rloo",
      "  millrace plan --model models/llama-1b --updaters 4 --shard-optimizer",
    })
public final class PlanCommand implements Callable<Integer> {

  private static final int[] DEVICES = {16, 24, 48, 80, 141};
  private static final long GIB = 1L << 30;

  /** As of ppo.updaters. */
  private static final int MOST_UPDATERS = 64;

  /** A tenth of a device stays free for libraries and fragmentation. */
  private static final double USABLE = 0.9;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "Directory or URI of a checkpoint.")
  private String model;

  @Option(
      names = "--adapter-rank",
      defaultValue = "0",
      paramLabel = "R",
      description = "model.adapter.rank; 0 trains all weights (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--precision",
      defaultValue = "float32",
      description = "compute.precision: float32 or bfloat16 (default: ${DEFAULT-VALUE}).")
  private Precision precision;

  @Option(
      names = "--batch",
      defaultValue = "0",
      paramLabel = "TOKENS",
      description =
          "Tokens of a micro-batch, compute.micro-batch-tokens; 0 for its default (default:"
              + " ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--recompute",
      description = "Recompute activations in the backward pass, compute.recompute-activations.")
  private boolean recompute;

  @Option(
      names = "--kv-tokens",
      defaultValue = "65536",
      paramLabel = "N",
      description =
          "Tokens in the KV cache of a sampler on the same device; 0 for none (default:"
              + " ${DEFAULT-VALUE}).")
  private int kvTokens;

  @Option(
      names = "--copy-memory-mib",
      defaultValue = "512",
      paramLabel = "MIB",
      description =
          "Most memory for copies of weights and moments that are written while updates run,"
              + " compute.copy-memory-mib (default: ${DEFAULT-VALUE}).")
  private int copyMemory;

  @Option(
      names = "--advantage",
      defaultValue = "gae",
      paramLabel = "METHOD",
      description =
          "ppo.advantage: ${COMPLETION-CANDIDATES}; only gae has a critic (default:"
              + " ${DEFAULT-VALUE}).")
  private AdvantageMethod advantage;

  @Option(
      names = "--updaters",
      defaultValue = "1",
      paramLabel = "N",
      description = "ppo.updaters (default: ${DEFAULT-VALUE}).")
  private int updaters;

  @Option(
      names = "--shard-optimizer",
      description = "Each updater has the moments of a part of the weights, ppo.shard-optimizer.")
  private boolean shardOptimizer;

  @Mixin private ConfigOptions options;

  @Override
  public Integer call() throws IOException {
    require("--adapter-rank", rank, 1024);
    require("--batch", batch, 1 << 20);
    require("--kv-tokens", kvTokens, 1 << 30);
    require("--copy-memory-mib", copyMemory, 1 << 20);
    if (updaters < 1 || updaters > MOST_UPDATERS) {
      throw new UserException(
          "--updaters must be from 1 to %d, not %d".formatted(MOST_UPDATERS, updaters));
    }
    if (shardOptimizer && updaters == 1) {
      throw new UserException("--shard-optimizer needs --updaters of at least 2, not 1");
    }
    LlamaConfig config;
    try (LocalCheckpoint files = options.open(model)) {
      config = CheckpointOutline.read(files.directory()).config();
    }
    int tokens = new ActivationMemory(batch, recompute).partTokens(config);
    Optional<AdapterConfig> adapter =
        rank == 0
            ? Optional.empty()
            : Optional.of(new AdapterConfig(rank, rank, AdapterConfig.PROJECTIONS));
    MemoryPlan plan = plan(config, adapter, tokens, advantage.hasCritic());
    System.out.printf(
        Locale.ROOT,
        "%,d parameters in %d layers of width %d; %s; %s; micro-batches of %,d tokens%n%n",
        config.parameterCount(),
        config.layers(),
        config.hiddenSize(),
        adapter.map(one -> "adapters of rank " + one.rank()).orElse("all weights trained"),
        precision,
        tokens);
    for (MemoryPlan.Part part : plan.parts()) {
      line(part.owner(), part.name(), part.bytes());
    }
    line("total", "", plan.total());
    if (updaters > 1) {
      System.out.printf(
          Locale.ROOT,
          "this is the first of %d updaters; each other one takes its own \"update\": %.3f GiB%n",
          updaters,
          (double) plan.total("update") / GIB);
    }
    System.out.println();
    double critic =
        (double) plan(config, adapter, tokens, true).total()
            - plan(config, adapter, tokens, false).total();
    System.out.printf(
        Locale.ROOT,
        advantage.hasCritic()
            ? "without a critic (--advantage rloo, grpo or reinforce++): %.3f GiB less%n"
            : "no critic with --advantage " + advantage + ": %.3f GiB less than with gae%n",
        critic / GIB);
    List<String> fits = new ArrayList<>();
    for (int device : DEVICES) {
      fits.add(device + " GB " + (plan.total() <= USABLE * device * 1e9 ? "yes" : "no"));
    }
    System.out.println("fits on one device with a tenth left free: " + String.join(", ", fits));
    return 0;
  }

  private MemoryPlan plan(
      LlamaConfig config, Optional<AdapterConfig> adapter, int tokens, boolean critic) {
    return MemoryPlan.of(
        config,
        new MemoryPlan.Settings(
            adapter,
            precision,
            tokens,
            tokens,
            recompute,
            kvTokens,
            (long) copyMemory << 20,
            critic,
            shardOptimizer ? updaters : 1));
  }

  private static void line(String owner, String name, long bytes) {
    System.out.printf(Locale.ROOT, "%-7s %-38s %10.3f GiB%n", owner, name, (double) bytes / GIB);
  }

  private static void require(String option, int value, int most) {
    if (value < 0 || value > most) {
      throw new UserException("%s must be from 0 to %d, not %d".formatted(option, most, value));
    }
  }
}
