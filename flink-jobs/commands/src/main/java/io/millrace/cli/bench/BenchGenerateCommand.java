package io.millrace.cli.bench;

import io.millrace.cli.option.ShapeOptions;
import io.millrace.cli.option.UserException;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace bench generate}. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description =
        "Measures the sampling of --batch responses at the same time; the result counts the tokens"
            + " of the responses.",
    footer = {"", "Example:", "  millrace bench generate --batch 16 --max-tokens 128"})
final class BenchGenerateCommand implements Callable<Integer> {

  @Mixin private ShapeOptions shape;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "Policy checkpoint to use; replaces the options of the shape.")
  private Path checkpoint;

  @Option(
      names = "--batch",
      defaultValue = "16",
      description = "Responses sampled at the same time (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--prompt-length",
      defaultValue = "16",
      description = "Tokens of each prompt (default: ${DEFAULT-VALUE}).")
  private int promptLength;

  @Option(
      names = "--max-tokens",
      defaultValue = "128",
      description = "Tokens of each response (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--iterations",
      defaultValue = "7",
      description = "Repetitions after the warm-up (default: ${DEFAULT-VALUE}).")
  private int iterations;

  @Override
  public Integer call() {
    ShapeOptions.require("--batch", batch);
    ShapeOptions.require("--prompt-length", promptLength);
    ShapeOptions.require("--max-tokens", maxTokens);
    ShapeOptions.require("--iterations", iterations);
    try (Backend backend = shape.open();
        LanguageModel model = model(backend)) {
      int positions = model.config().maxPositions();
      if ((long) promptLength + maxTokens > positions) {
        throw new UserException(
            "--prompt-length + --max-tokens must be at most the model's %d positions, not %d + %d"
                .formatted(positions, promptLength, maxTokens));
      }
      System.out.println(
          new GenerateBench(backend, model, shape.precision(), batch, promptLength, maxTokens)
              .run(iterations)
              .toJson());
    }
    return 0;
  }

  private LanguageModel model(Backend backend) {
    if (checkpoint == null) {
      return LanguageModel.random(backend, shape.config(promptLength + maxTokens), 1);
    }
    try (CheckpointDirectory directory = CheckpointDirectory.open(checkpoint)) {
      return ModelWeights.languageModel(backend, directory);
    }
  }
}
