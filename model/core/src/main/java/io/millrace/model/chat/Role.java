package io.millrace.model.chat;

/** Who speaks in a turn of a dialogue. */
public enum Role {
  SYSTEM,
  USER,
  ASSISTANT
}
