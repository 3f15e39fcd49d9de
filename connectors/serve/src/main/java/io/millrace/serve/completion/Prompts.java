package io.millrace.serve.completion;

import io.millrace.model.tokenizer.TextTooLongException;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.CompletionRequest;
import io.millrace.serve.api.CompletionRequest.TextPrompt;
import io.millrace.serve.api.SamplingParameters;
import io.millrace.serve.sampling.Lane;
import io.millrace.serve.sampling.TextCodec;
import java.util.List;

/** Prompts as tokens. */
final class Prompts {

  private static final String TOO_LONG = "context_length_exceeded";

  private Prompts() {}

  /** The token ids of each prompt. Text never becomes a special token. */
  static List<int[]> tokens(CompletionRequest request, TextCodec codec) {
    try {
      return request.chat()
          ? List.of(codec.template().promptTokens(request.dialogue()))
          : request.prompts().stream().map(prompt -> tokens(prompt, codec)).toList();
    } catch (TextTooLongException e) {
      throw ApiException.badRequest(TOO_LONG, e.getMessage());
    } catch (IllegalArgumentException e) {
      throw ApiException.badRequest("invalid_prompt", e.getMessage());
    }
  }

  private static int[] tokens(TextPrompt prompt, TextCodec codec) {
    if (prompt.text() != null) {
      int[] tokens =
          Tokenizer.join(codec.tokenizer().textStart(), codec.tokenizer().encode(prompt.text()));
      if (tokens.length == 0) {
        throw ApiException.badValue("prompt", "\"prompt\" has no tokens; give it some text");
      }
      return tokens;
    }
    for (int token : prompt.tokens()) {
      if (token >= codec.shape().vocabSize()) {
        throw ApiException.badValue(
            "prompt",
            "\"prompt\" has a token %d; the vocabulary has %d tokens"
                .formatted(token, codec.shape().vocabSize()));
      }
    }
    return prompt.tokens();
  }

  /** The most tokens of each response: what the client asks for, or what there is room for. */
  static int maxTokens(
      List<int[]> prompts, SamplingParameters sampling, TextCodec codec, Lane lane) {
    int longest = prompts.stream().mapToInt(prompt -> prompt.length).max().orElse(0);
    int room = codec.context() - longest;
    if (room < 1) {
      throw ApiException.badRequest(
          TOO_LONG,
          "the prompt has %d tokens; the model takes %d with a response of at least 1"
              .formatted(longest, codec.context()));
    }
    if (sampling.maxTokens().isEmpty()) {
      return Math.min(room, lane.maxTokens());
    }
    int wanted = sampling.maxTokens().getAsInt();
    if (wanted > room) {
      throw ApiException.badRequest(
          TOO_LONG,
          "the prompt has %d tokens and max_tokens is %d; the model takes %d together"
              .formatted(longest, wanted, codec.context()));
    }
    if (wanted > lane.maxTokens()) {
      throw ApiException.badValue(
          "max_tokens",
          "max_tokens is %d; this server takes at most %d (serve.max-tokens)"
              .formatted(wanted, lane.maxTokens()));
    }
    return wanted;
  }
}
