/** Checkpoint directories on a local disk or in a remote store, and local copies of them. */
package io.millrace.connectors.checkpoint.store;
