package io.millrace.jobs.config;

import java.io.Serializable;

/** Which model a job starts from. */
public record ModelSection(
    @Option(value = "policy", help = "The policy's name, also its directory and its Kafka key.")
        String name,
    @Option(
            value = "",
            help =
                "Checkpoint directory to start from: a published one or any Hugging Face Llama"
                    + " directory. Empty: a new model of the sizes below, with random weights.")
        String initial,
    @Option(value = "1", help = "Seed of random weights, sampling and shuffling.") long seed,
    @Option(value = "64", help = "New model: width of the residual stream.") int hiddenSize,
    @Option(value = "2", help = "New model: number of blocks.") int layers,
    @Option(value = "4", help = "New model: query heads.") int heads,
    @Option(value = "2", help = "New model: key and value heads.") int kvHeads,
    @Option(value = "192", help = "New model: width of the feed-forward block.") int ffnSize,
    @Option(value = "512", help = "New model: tokens in the vocabulary.") int vocabSize,
    @Option(value = "4096", help = "New model: longest sequence in tokens.") int maxPositions)
    implements Serializable {

  public ModelSection {
    Require.present("name", name);
    if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
      throw new IllegalArgumentException(
          "name must consist of letters, digits, '.', '_' and '-', not '" + name + "'");
    }
    Require.atLeast("hidden-size", hiddenSize, 2);
    Require.atLeast("layers", layers, 1);
    Require.atLeast("heads", heads, 1);
    Require.atLeast("kv-heads", kvHeads, 1);
    if (heads % kvHeads != 0 || hiddenSize % heads != 0 || hiddenSize / heads % 2 != 0) {
      throw new IllegalArgumentException(
          "hidden-size %d, heads %d, kv-heads %d: heads must divide hidden-size into an even width, and kv-heads must divide heads"
              .formatted(hiddenSize, heads, kvHeads));
    }
    Require.atLeast("ffn-size", ffnSize, 1);
    Require.atLeast("vocab-size", vocabSize, 300);
    Require.atLeast("max-positions", maxPositions, 16);
  }

  ModelSection withInitial(String directory) {
    return new ModelSection(
        name,
        directory,
        seed,
        hiddenSize,
        layers,
        heads,
        kvHeads,
        ffnSize,
        vocabSize,
        maxPositions);
  }
}
