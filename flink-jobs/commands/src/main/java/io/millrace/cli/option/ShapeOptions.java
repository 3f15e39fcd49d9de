package io.millrace.cli.option;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The model of a benchmark and its compute backend. */
public final class ShapeOptions {

  /** Far above any shape that a process can hold. */
  private static final int MOST = 1 << 20;

  @Option(
      names = "--hidden",
      defaultValue = "256",
      description = "Hidden size (default: ${DEFAULT-VALUE}).")
  private int hidden;

  @Option(
      names = "--layers",
      defaultValue = "4",
      description = "Layers (default: ${DEFAULT-VALUE}).")
  private int layers;

  @Option(
      names = "--heads",
      defaultValue = "8",
      description = "Query heads of a layer (default: ${DEFAULT-VALUE}).")
  private int heads;

  @Option(
      names = "--kv-heads",
      defaultValue = "4",
      description = "Key and value heads of a layer (default: ${DEFAULT-VALUE}).")
  private int kvHeads;

  @Option(
      names = "--ffn",
      defaultValue = "704",
      description = "Width of the feed-forward block (default: ${DEFAULT-VALUE}).")
  private int ffn;

  @Option(
      names = "--vocab",
      defaultValue = "512",
      description = "Tokens in the vocabulary (default: ${DEFAULT-VALUE}).")
  private int vocab;

  @Mixin private BackendOptions backend;

  /** Opens the backend with the wanted number of threads. */
  public Backend open() {
    return backend.open();
  }

  /** The precision of activations and products. */
  public Precision precision() {
    return backend.precision();
  }

  /**
   * The shape of the model.
   *
   * @param maxPositions longest sequence in tokens
   */
  public LlamaConfig config(int maxPositions) {
    require("--hidden", hidden);
    require("--layers", layers);
    require("--heads", heads);
    require("--kv-heads", kvHeads);
    require("--ffn", ffn);
    require("--vocab", vocab);
    if (hidden % heads != 0) {
      throw new UserException("--heads must divide --hidden %d, not %d".formatted(hidden, heads));
    }
    if (heads % kvHeads != 0 || hidden / heads % 2 != 0) {
      throw new UserException(
          "--kv-heads %d must divide --heads %d, and --hidden %d / --heads must be even"
              .formatted(kvHeads, heads, hidden));
    }
    return LlamaConfig.builder()
        .vocabSize(vocab)
        .hiddenSize(hidden)
        .layers(layers)
        .heads(heads)
        .kvHeads(kvHeads)
        .headDim(hidden / heads)
        .ffnSize(ffn)
        .maxPositions(maxPositions)
        .tiedHead(true)
        .bosToken(1)
        .eosToken(2)
        .build();
  }

  /** Settings of a job that makes a model of this shape. */
  public List<String> settings(int maxPositions) {
    LlamaConfig config = config(maxPositions);
    List<String> settings = new ArrayList<>(backend.settings());
    Collections.addAll(
        settings,
        "model.hidden-size=" + config.hiddenSize(),
        "model.layers=" + config.layers(),
        "model.heads=" + config.heads(),
        "model.kv-heads=" + config.kvHeads(),
        "model.ffn-size=" + config.ffnSize(),
        "model.vocab-size=" + config.vocabSize(),
        "model.max-positions=" + config.maxPositions());
    return settings;
  }

  /**
   * Checks a count.
   *
   * @throws UserException if it is below 1
   */
  public static int require(String option, int value) {
    return require(option, value, MOST);
  }

  /**
   * Checks an option from 1 to a bound of its own.
   *
   * @throws UserException naming the option and its value
   */
  public static int require(String option, int value, int most) {
    if (value < 1 || value > most) {
      throw new UserException("%s must be from 1 to %d, not %d".formatted(option, most, value));
    }
    return value;
  }
}
