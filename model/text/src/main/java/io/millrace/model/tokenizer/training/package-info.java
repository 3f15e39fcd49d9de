/** Training of byte-level BPE tokenizers. */
package io.millrace.model.tokenizer.training;
