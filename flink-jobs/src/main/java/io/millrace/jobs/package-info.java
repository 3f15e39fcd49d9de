/** The jobs: each class's {@code build} reads as its topology. */
package io.millrace.jobs;
