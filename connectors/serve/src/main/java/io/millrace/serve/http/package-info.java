/** The HTTP server: routes, limits, keys, streams. */
package io.millrace.serve.http;
