/** Metrics of a cluster on one machine. */
package io.millrace.cluster.metrics;
