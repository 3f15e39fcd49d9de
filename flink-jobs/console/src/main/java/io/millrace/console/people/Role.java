package io.millrace.console.people;

/** What an account may do. Each role may do what the roles before it may. */
public enum Role {
  /** Judges responses, and talks to a policy. */
  ANNOTATOR,
  /** Watches training and annotators. */
  REVIEWER,
  /** Sees the records of dead letters. */
  OPERATOR
}
