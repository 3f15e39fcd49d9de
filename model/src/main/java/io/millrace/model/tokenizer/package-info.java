/** Tokenizers in Hugging Face's format, a byte-level BPE trainer, and the Llama-2 chat template. */
package io.millrace.model.tokenizer;
