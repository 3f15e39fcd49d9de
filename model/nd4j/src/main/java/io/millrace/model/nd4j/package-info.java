/** A backend in ND4J operations, which runs on any ND4J backend. */
package io.millrace.model.nd4j;
