/** Requests to endpoints of others: what each client of one needs. */
package io.millrace.connectors.http;
