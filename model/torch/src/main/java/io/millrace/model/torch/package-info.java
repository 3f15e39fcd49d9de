/** A backend on libtorch, for CPUs and current NVIDIA GPUs. */
package io.millrace.model.torch;
