package io.millrace.model.tokenizer;

/** Who speaks in a turn of a dialogue. */
public enum Role {
  SYSTEM,
  USER,
  ASSISTANT
}
