/** Tokenizers in Hugging Face's format. */
package io.millrace.model.tokenizer;
