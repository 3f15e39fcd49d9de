/** One HTML file of a run, with tables and figures, which a person can mail. */
package io.millrace.jobs.report;
