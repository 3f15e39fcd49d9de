/** The list of the training jobs' configuration sections. */
package io.millrace.jobs.training;
