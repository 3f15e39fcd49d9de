/** The console: a web application for annotators, for the team, and for talking to a policy. */
package io.millrace.console;
