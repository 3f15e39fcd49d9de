/** Figures and tables as HTML with inline SVG: one file, nothing to fetch, nothing to run. */
package io.millrace.jobs.chart;
