/** Charts as SVG. */
package io.millrace.report.chart;
