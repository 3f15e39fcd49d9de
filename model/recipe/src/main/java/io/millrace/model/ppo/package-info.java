/**
 * Proximal policy optimization with a KL penalty (Llama 2, section 3.2.3). The formulas are plain
 * arithmetic on arrays: log-probs are in nats, arrays over tokens hold response tokens only, and
 * numbers that are not finite are refused with an {@link IllegalArgumentException}.
 */
package io.millrace.model.ppo;
