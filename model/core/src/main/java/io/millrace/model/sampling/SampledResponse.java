package io.millrace.model.sampling;

/**
 * A sampled response.
 *
 * @param request the request that it belongs to
 * @param sample index among the responses of the request, from 0
 * @param policyVersion version of the policy that sampled the whole response
 * @param tokens token ids, the stop token included, {@code [tokens]}
 * @param logProbs log-probability of each token in nats, under the whole distribution at the
 *     sampling temperature, {@code [tokens]}
 * @param stopped whether the response ended with a stop token, not at the length limit
 */
public record SampledResponse(
    SamplingRequest request,
    int sample,
    long policyVersion,
    int[] tokens,
    float[] logProbs,
    boolean stopped) {}
