/** Judges that compare two responses. */
package io.millrace.jobs.evaluation.judge;
