package io.millrace.cli.option;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.BackendFactory;
import io.millrace.model.tensor.Backends;
import java.util.List;
import picocli.CommandLine.Option;

/** The shape of a benchmark's model, and what runs it. */
public final class ShapeOptions {

  @Option(names = "--hidden", defaultValue = "256", description = "Width (${DEFAULT-VALUE}).")
  private int hidden;

  @Option(names = "--layers", defaultValue = "4", description = "Blocks (${DEFAULT-VALUE}).")
  private int layers;

  @Option(names = "--heads", defaultValue = "8", description = "Query heads (${DEFAULT-VALUE}).")
  private int heads;

  @Option(names = "--kv-heads", defaultValue = "4", description = "Key heads (${DEFAULT-VALUE}).")
  private int kvHeads;

  @Option(
      names = "--ffn",
      defaultValue = "704",
      description = "Width of the feed-forward block (${DEFAULT-VALUE}).")
  private int ffn;

  @Option(names = "--vocab", defaultValue = "512", description = "Tokens (${DEFAULT-VALUE}).")
  private int vocab;

  @Option(
      names = "--backend",
      defaultValue = "cpu",
      description = "Compute backend: cpu or nd4j (${DEFAULT-VALUE}).")
  private String backend;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute at once (all cores).")
  private Integer threads;

  /** The backend, on as many threads as wished. */
  public Backend open() {
    BackendFactory factory;
    try {
      factory = Backends.named(backend);
    } catch (IllegalArgumentException e) {
      throw new UserException("--backend " + e.getMessage());
    }
    if (threads != null) {
      factory.useThreads(require("--threads", threads));
    }
    return factory.open();
  }

  /** The model, for sequences of as many tokens. */
  public LlamaConfig config(int maxPositions) {
    require("--hidden", hidden);
    require("--layers", layers);
    require("--heads", heads);
    require("--kv-heads", kvHeads);
    require("--ffn", ffn);
    require("--vocab", vocab);
    if (hidden % heads != 0) {
      throw new UserException("--heads %d must divide --hidden %d".formatted(heads, hidden));
    }
    return new LlamaConfig(
        vocab,
        hidden,
        layers,
        heads,
        kvHeads,
        hidden / heads,
        ffn,
        maxPositions,
        1e-5f,
        10_000,
        true,
        1,
        2);
  }

  /** The same as settings of a job, which makes such a model. */
  public List<String> settings(int maxPositions) {
    LlamaConfig config = config(maxPositions);
    return List.of(
        "model.hidden-size=" + config.hiddenSize(),
        "model.layers=" + config.layers(),
        "model.heads=" + config.heads(),
        "model.kv-heads=" + config.kvHeads(),
        "model.ffn-size=" + config.ffnSize(),
        "model.vocab-size=" + config.vocabSize(),
        "model.max-positions=" + config.maxPositions(),
        "compute.backend=" + backend,
        "compute.threads=" + (threads == null ? 0 : require("--threads", threads)));
  }

  /** A count from the command line. */
  public static int require(String option, int value) {
    if (value < 1) {
      throw new UserException("%s must be at least 1, not %d".formatted(option, value));
    }
    return value;
  }
}
