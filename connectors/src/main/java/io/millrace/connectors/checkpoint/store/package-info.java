/**
 * Checkpoint directories on a local disk or on a file system that Flink knows, and local copies of
 * them.
 */
package io.millrace.connectors.checkpoint.store;
