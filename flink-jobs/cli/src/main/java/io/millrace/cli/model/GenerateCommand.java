package io.millrace.cli.model;

import io.millrace.cli.option.BackendOptions;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
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

  @Mixin private BackendOptions compute;

  @Option(names = "--prompt", required = true, description = "Text of the user's turn.")
  private String prompt;

  @Option(names = "--raw", description = "Continue the prompt's text without a chat template.")
  private boolean raw;

  @Mixin private SamplingFlags sampling;

  @Override
  public Integer call() throws IOException {
    requireOptions();
    try (Backend backend = compute.open();
        OpenPolicy policy = OpenPolicy.open(backend, options, checkpoint)) {
      LanguageModel model = policy.model();
      Tokenizer tokenizer = policy.tokenizer();
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
        ChatTemplate template = policy.template();
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
    sampling.require();
    if (prompt.isBlank()) {
      throw new UserException("--prompt must not be empty");
    }
  }

  private int[] respond(LanguageModel model, int[] tokens, int[] stopTokens) {
    SamplingOptions options = sampling.options(stopTokens);
    int longest = tokens.length + options.maxTokens();
    int positions = model.config().maxPositions();
    if (longest > positions) {
      throw new UserException(
          "--prompt has %d tokens and --max-tokens is %d, but the model has %d positions; lower one"
              .formatted(tokens.length, options.maxTokens(), positions));
    }
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(1, longest))) {
      SamplingRequest request = SamplingRequest.single(tokens, sampling.seed(), options);
      return engine.sampleAll(List.of(request)).get(0).tokens();
    }
  }
}
