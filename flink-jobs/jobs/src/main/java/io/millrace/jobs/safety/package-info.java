/** Which prompts count as safety prompts. */
package io.millrace.jobs.safety;
