/** A backend in ND4J operations alone: it runs on any ND4J backend, GPUs included. */
package io.millrace.model.nd4j;
