/** Completions: from a request to its responses, whole or in parts. */
package io.millrace.serve.completion;
