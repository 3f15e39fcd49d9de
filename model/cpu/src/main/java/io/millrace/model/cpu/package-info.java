/** The default backend: all cores, native memory, fused kernels on the Vector API. */
package io.millrace.model.cpu;
