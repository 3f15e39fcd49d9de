package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel.Ranked;

/**
 * One token of a response.
 *
 * @param id the token
 * @param logProb its log-probability in nats, as in {@link SampledResponse}
 * @param policyVersion version of the policy that samples the whole response
 * @param ranked the most probable tokens in its place; empty unless the request asked for them
 */
public record SampledToken(int id, float logProb, long policyVersion, Ranked ranked) {}
