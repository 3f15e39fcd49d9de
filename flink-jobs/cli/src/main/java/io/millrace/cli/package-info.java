/** The command line: {@code millrace} and its commands. */
package io.millrace.cli;
