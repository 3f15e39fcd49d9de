package io.millrace.cli.model;

import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace generate}. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description = "Samples a response to a prompt from a policy checkpoint.",
    footer = {
      "",
      "Examples:",
      "  millrace generate --checkpoint DIR --prompt 'How do I bake bread?' --seed 7",
      "  millrace generate --checkpoint DIR --prompt 'Once upon' --raw --temperature 0",
    })
public final class GenerateCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      required = true,
      description = "Directory or URI of a policy checkpoint.")
  private String checkpoint;

  @Mixin private ConfigOptions options;

  @Option(names = "--prompt", required = true, description = "Text of the user's turn.")
  private String prompt;

  @Option(names = "--raw", description = "Continue the prompt's text without a chat template.")
  private boolean raw;

  @Option(
      names = "--max-tokens",
      defaultValue = "64",
      description = "Most tokens of the response (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--temperature",
      defaultValue = "1.0",
      description =
          "Sampling temperature; 0 always takes the most likely token (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--top-p",
      defaultValue = "1.0",
      description = "Probability mass of nucleus sampling (default: ${DEFAULT-VALUE}).")
  private float topP;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed; the same one gives the same response (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() throws IOException {
    requireOptions();
    try (Backend backend = Backends.openDefault();
        LocalCheckpoint files = options.open(checkpoint);
        CheckpointDirectory directory = CheckpointDirectory.open(files.directory());
        LanguageModel model = ModelWeights.languageModel(backend, directory);
        Tokenizer tokenizer =
            Tokenizer.load(files.directory(), directory.config().maxPositions())) {
      tokenizer.requireFits(model.config().vocabSize());
      List<Integer> eosTokens = model.config().eosTokens();
      String text;
      if (raw) {
        int[] stopTokens = eosTokens.stream().mapToInt(Integer::intValue).toArray();
        int[] tokens =
            IntStream.concat(
                    IntStream.of(tokenizer.textStart()), IntStream.of(tokenizer.encode(prompt)))
                .toArray();
        text = prompt + tokenizer.decodeContinuation(respond(model, tokens, stopTokens));
      } else {
        ChatTemplate template = ChatTemplate.of(tokenizer);
        int[] stopTokens = template.stopTokens(eosTokens);
        int[] tokens = template.promptTokens(List.of(Message.user(prompt)));
        text = template.responseText(respond(model, tokens, stopTokens));
      }
      new PrintStream(System.out, true, StandardCharsets.UTF_8).println(Printable.text(text));
    }
    return 0;
  }

  /** Checks the options before the checkpoint is read. */
  private void requireOptions() {
    SamplingChecks.require(maxTokens, temperature);
    if (!(topP >= 0.001f && topP <= 1)) {
      throw new UserException("--top-p must be from 0.001 to 1, not %s".formatted(topP));
    }
    if (prompt.isBlank()) {
      throw new UserException("--prompt must not be empty");
    }
  }

  private SamplingOptions options(int... stopTokens) {
    return new SamplingOptions(maxTokens, temperature, topP, stopTokens);
  }

  private int[] respond(LanguageModel model, int[] tokens, int[] stopTokens) {
    SamplingOptions options = options(stopTokens);
    int longest = tokens.length + options.maxTokens();
    int positions = model.config().maxPositions();
    if (longest > positions) {
      throw new UserException(
          "--prompt has %d tokens and --max-tokens is %d, but the model has %d positions; lower one"
              .formatted(tokens.length, maxTokens, positions));
    }
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(1, longest))) {
      SamplingRequest request = SamplingRequest.single(tokens, seed, options);
      return engine.sampleAll(List.of(request)).get(0).tokens();
    }
  }
}
