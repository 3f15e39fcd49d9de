/** Commands for model checkpoints. */
package io.millrace.cli.model;
