/** Text to tokens and back, chat templates, and training of a tokenizer. */
package io.millrace.model.tokenizer;
