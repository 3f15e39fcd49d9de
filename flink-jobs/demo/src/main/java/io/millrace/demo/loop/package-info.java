/** Simulated prompts, annotators and evaluation around jobs that run. */
package io.millrace.demo.loop;
