/** libtorch itself: loading it, its devices, memory, tensors and private operators. */
package io.millrace.model.torch.library;
