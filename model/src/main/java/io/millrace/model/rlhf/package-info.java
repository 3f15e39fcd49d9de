/**
 * The small pure pieces of the Llama 2-Chat recipe (Touvron et al., arXiv 2307.09288): plain
 * arithmetic on arrays, no tensors. Log-probs are in nats; arrays over tokens hold response tokens
 * only. Numbers that are not finite are refused with an {@link IllegalArgumentException} before
 * anything is written.
 */
package io.millrace.model.rlhf;
