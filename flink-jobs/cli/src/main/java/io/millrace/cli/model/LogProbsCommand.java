package io.millrace.cli.model;

import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace logprobs}. */
@Command(
    name = "logprobs",
    mixinStandardHelpOptions = true,
    description =
        "Prints log p of each token after the first, given those before it, in nats, as a JSON"
            + " array.",
    footer = {"", "Example:", "  millrace logprobs --checkpoint DIR --tokens 1,306,4658"})
public final class LogProbsCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      required = true,
      description = "Policy checkpoint: a directory or a URI.")
  private String checkpoint;

  @Mixin private ConfigOptions options;

  @Option(
      names = "--tokens",
      required = true,
      split = ",",
      paramLabel = "ID",
      description = "Token ids, separated by commas; two at least.")
  private int[] tokens;

  @Override
  public Integer call() throws IOException {
    if (tokens.length < 2) {
      throw new UserException("--tokens needs two ids at least: the first has no log-prob");
    }
    try (Backend backend = Backends.openDefault();
        LocalCheckpoint files = options.open(checkpoint);
        CheckpointDirectory directory = CheckpointDirectory.open(files.directory())) {
      int vocab = directory.config().vocabSize();
      for (int token : tokens) {
        if (token < 0 || token >= vocab) {
          throw new UserException(
              "token " + token + " is not in the checkpoint's vocabulary of " + vocab);
        }
      }
      if (tokens.length > directory.config().maxPositions()) {
        throw new UserException(
            "%d tokens, where the model has %d positions"
                .formatted(tokens.length, directory.config().maxPositions()));
      }
      try (LanguageModel model = ModelWeights.languageModel(backend, directory)) {
        List<int[]> sequence = List.of(tokens);
        float[] logProbs = model.infer(sequence, Targets.all(sequence), 1).logProbs();
        System.out.println(Arrays.toString(logProbs));
      }
    }
    return 0;
  }
}
