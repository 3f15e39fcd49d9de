/** The default backend: all cores, native memory, machine code and the Vector API. */
package io.millrace.model.tensor.cpu;
