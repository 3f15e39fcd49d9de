/** The metrics of a server, for Prometheus. */
package io.millrace.serve.metrics;
