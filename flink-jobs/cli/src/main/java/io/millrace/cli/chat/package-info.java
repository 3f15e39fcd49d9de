/** The command that talks with policies in a terminal. */
package io.millrace.cli.chat;
