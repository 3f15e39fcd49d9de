/** How fast the training step, sampling and scoring are here: {@code millrace bench}. */
package io.millrace.jobs.bench;
