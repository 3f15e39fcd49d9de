/**
 * The default backend: all cores, native memory, machine code and fused kernels of the Vector API.
 */
package io.millrace.model.cpu;
