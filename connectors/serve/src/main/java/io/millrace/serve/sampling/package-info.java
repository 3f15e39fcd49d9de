/** The models that a server samples from, and the requests in flight. */
package io.millrace.serve.sampling;
