/** Who judges between two policies, and on what. */
package io.millrace.jobs.evaluation;
