/** A client that measures a server. */
package io.millrace.serve.bench;
