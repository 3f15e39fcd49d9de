/** Llama: configuration, parameters, forward and backward pass, decoding. */
package io.millrace.model.llama;
