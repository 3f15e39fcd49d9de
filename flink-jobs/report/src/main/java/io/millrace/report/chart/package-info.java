/** Charts: axes, series, and their drawing as marks at pixels. */
package io.millrace.report.chart;
