/** Where a job continues: the runs of a job, their Flink checkpoints and savepoints. */
package io.millrace.jobs.resume;
