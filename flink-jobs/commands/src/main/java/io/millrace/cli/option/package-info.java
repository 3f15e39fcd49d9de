/** Options that several commands share. */
package io.millrace.cli.option;
