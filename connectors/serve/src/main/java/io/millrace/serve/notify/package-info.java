/** Tells engines of other projects, vLLM and SGLang, of new policy versions. */
package io.millrace.serve.notify;
