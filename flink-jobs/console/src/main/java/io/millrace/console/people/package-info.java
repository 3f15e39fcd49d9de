/** Accounts, sessions and rate limits. */
package io.millrace.console.people;
