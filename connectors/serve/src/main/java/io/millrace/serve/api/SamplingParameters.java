package io.millrace.serve.api;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * How a client wants responses sampled.
 *
 * @param n responses to each prompt
 * @param maxTokens most tokens of a response; empty for the server's limit
 * @param stop texts that end a response; they are not part of it
 * @param seed for the same responses again; empty for random ones
 * @param logProbs whether log-probabilities are returned
 * @param ranks most probable tokens in the place of each token
 * @param stream whether the response comes in parts
 * @param includeUsage whether the last part of a stream has the token counts
 * @param tokenIds whether token ids are returned, as vLLM does
 * @param ignoreEos whether a response goes on to its length limit, as with vLLM
 * @param store the user's consent to recording; empty where the request has none
 */
public record SamplingParameters(
    int n,
    float temperature,
    float topP,
    OptionalInt maxTokens,
    List<String> stop,
    OptionalLong seed,
    boolean logProbs,
    int ranks,
    boolean stream,
    boolean includeUsage,
    boolean tokenIds,
    boolean ignoreEos,
    Optional<Boolean> store) {

  private static final int MOST_RESPONSES = 128;
  private static final int MOST_STOPS = 16;
  private static final int MOST_RANKS = 20;
  private static final int LONGEST_STOP = 1000;
  private static final double LOWEST_TEMPERATURE = 0.01;

  /** Parameters that change a response and are not supported, with the values that change none. */
  private static final Map<String, List<String>> UNSUPPORTED =
      Map.ofEntries(
          Map.entry("tools", List.of("[]")),
          Map.entry("functions", List.of("[]")),
          Map.entry("tool_choice", List.of("\"none\"", "\"auto\"")),
          Map.entry("function_call", List.of("\"none\"", "\"auto\"")),
          Map.entry("response_format", List.of("{\"type\":\"text\"}")),
          Map.entry("logit_bias", List.of("{}")),
          Map.entry("presence_penalty", List.of("0", "0.0")),
          Map.entry("frequency_penalty", List.of("0", "0.0")),
          Map.entry("modalities", List.of("[\"text\"]")),
          Map.entry("audio", List.of()),
          Map.entry("web_search_options", List.of()),
          Map.entry("prediction", List.of()),
          Map.entry("suffix", List.of("\"\"")),
          Map.entry("echo", List.of("false")),
          Map.entry("top_k", List.of("-1", "0")),
          Map.entry("min_p", List.of("0", "0.0")),
          Map.entry("repetition_penalty", List.of("1", "1.0")),
          Map.entry("best_of", List.of("1")));

  /**
   * @param chat whether the request is for {@code /v1/chat/completions}
   * @throws ApiException 400 naming the field
   */
  static SamplingParameters read(Fields fields, boolean chat) {
    UNSUPPORTED.forEach(
        (name, neutral) ->
            fields
                .get(name)
                .filter(value -> !neutral.contains(value.toString()))
                .ifPresent(
                    _ -> {
                      throw ApiException.badValue(
                          name, "\"%s\" is not supported; leave it out".formatted(name));
                    }));
    boolean stream = fields.flag("stream", false);
    Optional<Fields> streamOptions = fields.object("stream_options");
    if (streamOptions.isPresent() && !stream) {
      throw ApiException.badValue(
          "stream_options", "\"stream_options\" needs \"stream\": true; set it or leave it out");
    }
    List<String> stop = fields.texts("stop", MOST_STOPS);
    for (String text : stop) {
      if (text.isEmpty() || text.length() > LONGEST_STOP) {
        throw ApiException.badValue(
            "stop",
            "a \"stop\" text has %d characters; it must have 1 to %d"
                .formatted(text.length(), LONGEST_STOP));
      }
    }
    Optional<Long> most = fields.whole("max_tokens", 1, Integer.MAX_VALUE);
    Optional<Long> mostOfChat =
        chat ? fields.whole("max_completion_tokens", 1, Integer.MAX_VALUE) : Optional.empty();
    Optional<Long> seed = fields.whole("seed", Long.MIN_VALUE, Long.MAX_VALUE);
    int ranks = ranks(fields, chat);
    return new SamplingParameters(
        Math.toIntExact(fields.whole("n", 1, MOST_RESPONSES).orElse(1L)),
        temperature(fields),
        topP(fields),
        mostOfChat
            .or(() -> most)
            .map(tokens -> OptionalInt.of(Math.toIntExact(tokens)))
            .orElse(OptionalInt.empty()),
        List.copyOf(stop),
        seed.map(OptionalLong::of).orElse(OptionalLong.empty()),
        chat ? fields.flag("logprobs", false) : fields.get("logprobs").isPresent(),
        ranks,
        stream,
        streamOptions.map(options -> options.flag("include_usage", false)).orElse(false),
        fields.flag("return_token_ids", false),
        fields.flag("ignore_eos", false),
        fields.optionalFlag("store"));
  }

  private static float temperature(Fields fields) {
    double temperature = fields.number("temperature", 0, 2).orElse(1.0);
    if (temperature > 0 && temperature < LOWEST_TEMPERATURE) {
      throw ApiException.badValue(
          "temperature",
          "\"temperature\" is %s; it must be 0 or from %s to 2"
              .formatted(temperature, LOWEST_TEMPERATURE));
    }
    return (float) temperature;
  }

  private static float topP(Fields fields) {
    float topP = fields.number("top_p", 0, 1).orElse(1.0).floatValue();
    // OpenAI takes 0, which keeps the most probable token alone.
    return topP == 0 ? Float.MIN_NORMAL : topP;
  }

  private static int ranks(Fields fields, boolean chat) {
    if (!chat) {
      return Math.toIntExact(fields.whole("logprobs", 0, MOST_RANKS).orElse(0L));
    }
    Optional<Long> ranks = fields.whole("top_logprobs", 0, MOST_RANKS);
    if (ranks.isPresent() && !fields.flag("logprobs", false)) {
      throw ApiException.badValue(
          "top_logprobs", "\"top_logprobs\" needs \"logprobs\": true; set it or leave it out");
    }
    return Math.toIntExact(ranks.orElse(0L));
  }

  /** As these, for a comparison of two responses. */
  SamplingParameters withResponses(int responses) {
    return new SamplingParameters(
        responses,
        temperature,
        topP,
        maxTokens,
        stop,
        seed,
        logProbs,
        ranks,
        stream,
        includeUsage,
        tokenIds,
        ignoreEos,
        store);
  }
}
