/** Pages about a run. */
package io.millrace.report;
