/** Job evaluation: compares policy versions and promotes one for serving. */
package io.millrace.jobs.evaluation;
