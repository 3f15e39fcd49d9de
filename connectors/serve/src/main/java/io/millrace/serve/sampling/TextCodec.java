package io.millrace.serve.sampling;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.TokenizerDifference;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tokenizer.Tokenizer;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Tokenizer, chat template and shape that all versions of a served model have in common. Several
 * threads may use it at once.
 *
 * @param context most tokens of a prompt with its response
 * @param stopTokens token ids that end a response
 * @param specials spelling of the special tokens, which decode to nothing
 */
public record TextCodec(
    Tokenizer tokenizer,
    ChatTemplate template,
    LlamaConfig shape,
    int context,
    int[] stopTokens,
    Map<Integer, String> specials) {

  static TextCodec of(Tokenizer tokenizer, LlamaConfig shape, LaneSettings settings) {
    tokenizer.requireFits(shape.vocabSize());
    ChatTemplate template = ChatTemplate.of(tokenizer);
    return new TextCodec(
        tokenizer,
        template,
        shape,
        settings.context(shape),
        template.stopTokens(shape.eosTokens()),
        specials(tokenizer));
  }

  /** Why another version cannot take the place of this one; empty if it can. */
  Optional<String> difference(Tokenizer other, LlamaConfig config) {
    if (config.layers() != shape.layers()
        || config.kvHeads() != shape.kvHeads()
        || config.headDim() != shape.headDim()
        || config.vocabSize() != shape.vocabSize()
        || config.maxPositions() != shape.maxPositions()) {
      return Optional.of("its model is %s, but %s is served".formatted(config, shape));
    }
    return TokenizerDifference.between(tokenizer, other)
        .map(difference -> "its tokenizer differs: " + difference);
  }

  /** The spelling of a token, for log-probabilities. */
  public String spelling(int token) {
    return specials.getOrDefault(token, tokenizer.decodeContinuation(new int[] {token}));
  }

  private static Map<Integer, String> specials(Tokenizer tokenizer) {
    Map<Integer, String> specials = new HashMap<>();
    tokenizer
        .vocabulary()
        .ids()
        .forEach(
            (text, id) -> {
              if (tokenizer.isSpecial(id)) {
                specials.put(id, text);
              }
            });
    return Map.copyOf(specials);
  }
}
