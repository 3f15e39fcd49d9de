/** The default backend: all cores, native memory, OpenBLAS and the Vector API. */
package io.millrace.model.tensor.cpu;
