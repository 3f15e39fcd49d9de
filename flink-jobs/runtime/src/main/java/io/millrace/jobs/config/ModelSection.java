package io.millrace.jobs.config;

import io.millrace.model.chat.MarksInText;
import io.millrace.model.checkpoint.CheckpointAdapter;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import java.io.Serializable;
import java.util.List;
import java.util.Optional;

/** The policy that a job starts from. */
public record ModelSection(
    @Option(
            value = "policy",
            help =
                "Name of the policy: its directory below `checkpoints.directory` and its key in"
                    + " Kafka.",
            required = true,
            fixed = true)
        String name,
    @Option(
            value = "",
            help =
                "Checkpoint to start from: a published version or any Llama directory of Hugging"
                    + " Face. If it is empty, Millrace makes a model of the sizes below with random"
                    + " weights.",
            path = true,
            fixed = true)
        String initial,
    @Option(value = "1", help = "Seed of random weights, sampling and shuffling.") long seed,
    @Option(
            value = "64",
            help = "New model: width of the residual stream.",
            min = "2",
            max = "65536")
        int hiddenSize,
    @Option(value = "2", help = "New model: number of layers.", min = "1", max = "1000") int layers,
    @Option(value = "4", help = "New model: query heads of a layer.", min = "1", max = "1024")
        int heads,
    @Option(
            value = "2",
            help = "New model: key and value heads of a layer.",
            min = "1",
            max = "1024")
        int kvHeads,
    @Option(
            value = "192",
            help = "New model: width of the feed-forward block.",
            min = "1",
            max = "262_144")
        int ffnSize,
    @Option(
            value = "512",
            help = "New model: tokens in the vocabulary.",
            min = "300",
            max = "1_000_000")
        int vocabSize,
    @Option(
            value = "4096",
            help = "New model: longest sequence in tokens.",
            min = "16",
            max = "1_048_576")
        int maxPositions,
    @Option(
            value = "neutralize",
            help =
                "Marks of turns in user and system text, such as `[INST]` of Llama 2-Chat."
                    + " `neutralize`: they get a space inside where they could pass for a turn;"
                    + " `refuse`: the record is a dead letter `forged-turn`.")
        MarksInText turnMarks,
    Adapter adapter)
    implements ConfigSection {

  private static final float RMS_NORM_EPS = 1e-5f;

  private static final double ROPE_THETA = 10_000;

  public ModelSection {
    Require.accepted("name", () -> new PolicyName(name));
    if (heads % kvHeads != 0 || hiddenSize % heads != 0 || hiddenSize / heads % 2 != 0) {
      throw new IllegalArgumentException(
          "hidden-size %d, heads %d and kv-heads %d do not fit: heads must divide hidden-size, the quotient must be even, and kv-heads must divide heads"
              .formatted(hiddenSize, heads, kvHeads));
    }
    int headDim = hiddenSize / heads;
    Require.accepted(
        "hidden-size to max-positions",
        () -> llama(vocabSize, hiddenSize, layers, heads, kvHeads, headDim, ffnSize, maxPositions));
  }

  /**
   * The shape of a new model.
   *
   * @param vocabulary tokens of its tokenizer, which may have fewer than {@code vocab-size}
   */
  public LlamaConfig shape(int vocabulary, int bosToken, int eosToken) {
    return llama(
            vocabulary,
            hiddenSize,
            layers,
            heads,
            kvHeads,
            hiddenSize / heads,
            ffnSize,
            maxPositions)
        .withTokens(bosToken, List.of(eosToken));
  }

  private static LlamaConfig llama(
      int vocabulary,
      int hiddenSize,
      int layers,
      int heads,
      int kvHeads,
      int headDim,
      int ffnSize,
      int maxPositions) {
    return LlamaConfig.builder()
        .vocabSize(vocabulary)
        .hiddenSize(hiddenSize)
        .layers(layers)
        .heads(heads)
        .kvHeads(kvHeads)
        .headDim(headDim)
        .ffnSize(ffnSize)
        .maxPositions(maxPositions)
        .rmsNormEps(RMS_NORM_EPS)
        .ropeTheta(ROPE_THETA)
        .tiedHead(true)
        .build();
  }

  ModelSection withInitial(String directory) {
    return with(directory, adapter);
  }

  ModelSection withoutAdapter() {
    return with(initial, new Adapter(0, adapter.alpha(), adapter.targets(), 0));
  }

  private ModelSection with(String start, Adapter other) {
    return new ModelSection(
        name,
        start,
        seed,
        hiddenSize,
        layers,
        heads,
        kvHeads,
        ffnSize,
        vocabSize,
        maxPositions,
        turnMarks,
        other);
  }

  /**
   * Checks that a checkpoint to start from fits {@code adapter}.
   *
   * @param uri of the checkpoint, for the message
   * @param found the adapter in it, if it holds one
   * @throws IllegalArgumentException if it holds another adapter than is configured
   */
  public void requireAdapter(String uri, Optional<CheckpointAdapter> found) {
    if (found.isEmpty() || Optional.of(found.get().config()).equals(adapter.config())) {
      return;
    }
    AdapterConfig one = found.get().config();
    throw new IllegalArgumentException(
        ("model.initial %s holds an adapter of rank %d, alpha %s, for %s: set model.adapter.rank,"
                + " model.adapter.alpha and model.adapter.targets to these values, or merge it with"
                + " 'millrace checkpoint export --merge'")
            .formatted(uri, one.rank(), one.alpha(), String.join(",", one.targets())));
  }

  /** Low-rank adapters (LoRA, arXiv 2106.09685) in place of training all weights. */
  public record Adapter(
      @Option(
              value = "0",
              help =
                  "Rank of low-rank adapters (LoRA). 0 trains all weights. Otherwise policy, critic"
                      + " and reward models are adapters on the frozen weights of `model.initial`,"
                      + " which a process loads once.",
              min = "0",
              max = "1024",
              fixed = true)
          int rank,
      @Option(
              value = "16",
              help = "α of adapters: their product is scaled by α / rank.",
              above = "0",
              max = "65536",
              fixed = true)
          double alpha,
      @Option(
              value = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
              help = "Projections of each layer that get an adapter, under Hugging Face's names.",
              fixed = true)
          List<String> targets,
      @Option(
              value = "0",
              help = "Dropout of adapters. Only 0 is supported: recovery repeats every update.",
              min = "0",
              max = "0")
          double dropout)
      implements Serializable {

    public Adapter {
      targets = List.copyOf(targets);
      if (rank > 0) {
        int r = rank;
        List<String> names = targets;
        Require.accepted("rank, alpha, targets", () -> new AdapterConfig(r, alpha, names));
      }
    }

    /** The adapter; empty if all weights are trained. */
    public Optional<AdapterConfig> config() {
      return rank == 0 ? Optional.empty() : Optional.of(new AdapterConfig(rank, alpha, targets));
    }
  }
}
