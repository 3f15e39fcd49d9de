package io.millrace.jobs.config;

/** Which model a job starts from. */
public record ModelSection(
    @Option(
            value = "policy",
            help = "The policy's name, also its directory and its Kafka key.",
            required = true)
        String name,
    @Option(
            value = "",
            help =
                "Checkpoint directory to start from: a published one or any Hugging Face Llama"
                    + " directory. Empty: a new model of the sizes below, with random weights.",
            path = true)
        String initial,
    @Option(value = "1", help = "Seed of random weights, sampling and shuffling.") long seed,
    @Option(value = "64", help = "New model: width of the residual stream.", min = "2")
        int hiddenSize,
    @Option(value = "2", help = "New model: number of blocks.", min = "1") int layers,
    @Option(value = "4", help = "New model: query heads.", min = "1") int heads,
    @Option(value = "2", help = "New model: key and value heads.", min = "1") int kvHeads,
    @Option(value = "192", help = "New model: width of the feed-forward block.", min = "1")
        int ffnSize,
    @Option(value = "512", help = "New model: tokens in the vocabulary.", min = "300")
        int vocabSize,
    @Option(value = "4096", help = "New model: longest sequence in tokens.", min = "16")
        int maxPositions)
    implements ConfigSection {

  public ModelSection {
    if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
      throw new IllegalArgumentException(
          "name must consist of letters, digits, '.', '_' and '-', not '" + name + "'");
    }
    if (heads % kvHeads != 0 || hiddenSize % heads != 0 || hiddenSize / heads % 2 != 0) {
      throw new IllegalArgumentException(
          "hidden-size %d, heads %d, kv-heads %d: heads must divide hidden-size into an even width, and kv-heads must divide heads"
              .formatted(hiddenSize, heads, kvHeads));
    }
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
