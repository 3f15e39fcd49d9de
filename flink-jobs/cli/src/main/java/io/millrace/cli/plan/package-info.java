/** The command {@code plan}. */
package io.millrace.cli.plan;
