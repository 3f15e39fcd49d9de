/** Requests and responses in OpenAI's form. */
package io.millrace.serve.api;
