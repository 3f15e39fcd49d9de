/** Where model checkpoints are published: staged, made visible by a rename, then announced. */
package io.millrace.connectors.checkpoint;
