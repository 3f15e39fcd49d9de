/** The whole loop in one process, on the demo world, with a table at the end for a sceptic. */
package io.millrace.jobs.quickstart;
