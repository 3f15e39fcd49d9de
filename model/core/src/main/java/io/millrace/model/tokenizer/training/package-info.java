/** Training of a byte-level BPE tokenizer. */
package io.millrace.model.tokenizer.training;
