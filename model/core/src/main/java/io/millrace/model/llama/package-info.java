/** Llama: configuration, parameters, forward and backward pass, and decoding with a cache. */
package io.millrace.model.llama;
