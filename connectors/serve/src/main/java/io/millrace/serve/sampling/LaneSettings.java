package io.millrace.serve.sampling;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.sampling.EngineSettings;

/**
 * Limits of a served model.
 *
 * @param batchSize responses that are sampled at the same time
 * @param queueSize responses that may wait beside them
 * @param context most tokens of a prompt with its response; a model with fewer positions sets a
 *     lower limit
 * @param maxTokens most tokens of a response
 * @param kvCacheTokens tokens in the KV cache; 0 for {@code batchSize} responses of full length
 */
public record LaneSettings(
    int batchSize, int queueSize, int context, int maxTokens, int kvCacheTokens) {

  /** Most tokens of a prompt with its response. */
  int context(LlamaConfig model) {
    return Math.min(context, model.maxPositions());
  }

  EngineSettings engine(LlamaConfig model) {
    EngineSettings roomy = EngineSettings.of(batchSize, context(model));
    int pages =
        kvCacheTokens == 0
            ? roomy.pages()
            : Math.max(
                Math.ceilDiv(kvCacheTokens, roomy.pageTokens()),
                Math.ceilDiv(context(model), roomy.pageTokens()));
    return new EngineSettings(
        batchSize,
        batchSize + queueSize,
        roomy.maxStepTokens(),
        pages,
        roomy.pageTokens(),
        true,
        true);
  }
}
