package io.millrace.model.sampling;

/**
 * A sampled response.
 *
 * @param request what it answers
 * @param sample which of the request's responses it is, from 0
 * @param policyVersion of the policy that sampled all of it
 * @param tokens the stop token included
 * @param logProbs of each token, in nats, under the whole distribution at the sampling temperature
 * @param stopped whether it ended at a stop token rather than at the length limit
 */
public record SampledResponse(
    SamplingRequest request,
    int sample,
    long policyVersion,
    int[] tokens,
    float[] logProbs,
    boolean stopped) {}
