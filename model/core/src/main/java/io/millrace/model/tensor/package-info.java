/** Tensors, and the contract of a backend: the kernels of a Llama with their backward passes. */
package io.millrace.model.tensor;
