/** Sampling of responses: continuous batching over a paged KV cache. */
package io.millrace.model.sampling;
