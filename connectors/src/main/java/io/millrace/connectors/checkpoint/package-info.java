/** Publishing of checkpoints in two phases: staged, then made visible and announced. */
package io.millrace.connectors.checkpoint;
