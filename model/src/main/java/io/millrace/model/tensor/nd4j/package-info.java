/** The reference backend: every kernel in ND4J operations alone, on any ND4J backend. */
package io.millrace.model.tensor.nd4j;
