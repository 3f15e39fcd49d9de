/** Simulated prompts, simulated annotators and evaluation around running jobs. */
package io.millrace.demo.loop;
