/**
 * The stateful operators: one class each, with everything that learning depends on as Flink state.
 */
package io.millrace.jobs.operator;
