/** Sampling of responses, with continuous batching over a paged KV cache. */
package io.millrace.model.sampling;
