package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel.Ranked;

/**
 * One token of a response.
 *
 * @param id the token
 * @param logProb its log-probability in nats, as in {@link SampledResponse}
 * @param ranked the most probable tokens in its place; empty unless the request asked for them
 */
public record SampledToken(int id, float logProb, Ranked ranked) {}
