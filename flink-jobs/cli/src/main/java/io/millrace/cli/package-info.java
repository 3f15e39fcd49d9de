/** The command line. */
package io.millrace.cli;
