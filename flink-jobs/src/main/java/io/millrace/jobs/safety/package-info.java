/** Which prompts are judged by safety, beside those that say so themselves. */
package io.millrace.jobs.safety;
