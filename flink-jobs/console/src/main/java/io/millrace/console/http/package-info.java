/** The console's HTTP server: pages, sessions, and the requests of the page. */
package io.millrace.console.http;
