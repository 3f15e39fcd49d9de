/** Operators that work beside Flink's mailbox, and what a job's topology is built with. */
package io.millrace.jobs.runtime;
