package io.millrace.model.chat;

/** The speaker of a turn of a dialogue. */
public enum Role {
  SYSTEM,
  USER,
  ASSISTANT
}
