package io.millrace.cli.model;

import io.millrace.cli.option.BackendOptions;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
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
        "Prints a JSON array with the log-probability of each token, given the tokens before it, in"
            + " nats; the first token has none.",
    footer = {"", "Example:", "  millrace logprobs --checkpoint DIR --tokens 1,306,4658"})
public final class LogProbsCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      required = true,
      description = "Directory or URI of a policy checkpoint.")
  private String checkpoint;

  @Mixin private ConfigOptions options;

  @Mixin private BackendOptions compute;

  @Option(
      names = "--tokens",
      required = true,
      split = ",",
      paramLabel = "ID",
      description = "At least two token ids, with commas.")
  private int[] tokens;

  @Override
  public Integer call() throws IOException {
    if (tokens.length < 2) {
      throw new UserException(
          "--tokens must have at least two ids: the first has no log-probability");
    }
    try (Backend backend = compute.open();
        LocalCheckpoint files = options.open(checkpoint);
        CheckpointDirectory directory = CheckpointDirectory.open(files.directory())) {
      int vocab = directory.config().vocabSize();
      for (int token : tokens) {
        if (token < 0 || token >= vocab) {
          throw new UserException(
              "--tokens must be from 0 to %d for this checkpoint, not %d"
                  .formatted(vocab - 1, token));
        }
      }
      if (tokens.length > directory.config().maxPositions()) {
        throw new UserException(
            "--tokens must be at most %d for this checkpoint, not %d"
                .formatted(directory.config().maxPositions(), tokens.length));
      }
      try (LanguageModel model = OpenPolicy.languageModel(backend, options, directory)) {
        List<int[]> sequence = List.of(tokens);
        float[] logProbs = model.infer(sequence, Targets.all(sequence), 1).logProbs();
        System.out.println(Arrays.toString(logProbs));
      }
    }
    return 0;
  }
}
