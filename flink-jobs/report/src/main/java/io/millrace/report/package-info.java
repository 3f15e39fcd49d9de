/** Reports about a run: its sources, and the sections of the page. */
package io.millrace.report;
