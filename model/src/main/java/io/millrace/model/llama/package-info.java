/** Llama: configuration, parameters, forward and backward, sampling. */
package io.millrace.model.llama;
