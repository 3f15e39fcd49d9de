/** Tensors, the kernels of a Llama with their backward passes, and the backends that run them. */
package io.millrace.model.tensor;
