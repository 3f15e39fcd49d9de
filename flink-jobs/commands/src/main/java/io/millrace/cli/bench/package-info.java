/** Benchmarks. */
package io.millrace.cli.bench;
