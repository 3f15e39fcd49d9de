/** Has vLLM and SGLang load each new policy version. */
package io.millrace.serve.notify;
