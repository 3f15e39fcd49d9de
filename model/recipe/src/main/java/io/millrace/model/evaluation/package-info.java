/** Comparison of policy versions, and the gate that decides which one is served. */
package io.millrace.model.evaluation;
