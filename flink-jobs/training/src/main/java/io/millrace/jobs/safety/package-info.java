/** Classifiers of safety prompts. */
package io.millrace.jobs.safety;
