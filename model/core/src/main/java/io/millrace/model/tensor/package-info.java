/**
 * Tensors, and the contract of a compute backend. Start with {@link
 * io.millrace.model.tensor.Backend}: every kernel of a Llama with its formula and its backward
 * pass.
 */
package io.millrace.model.tensor;
