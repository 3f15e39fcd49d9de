package io.millrace.world;

import java.util.Locale;

/** Questions that no prompt asks, no judgment is about and no demonstration answers. */
public enum Split {
  /** Unseen combinations of task, form and circumstance, on which defaults were chosen. */
  VALIDATION("held-out"),

  /** Unseen combinations on which no default was chosen. */
  TEST_COMBINATIONS("test-combination"),

  /** Questions about tasks that occur in demonstrations only. No default was chosen on them. */
  TEST_TASKS("test-task");

  private final String prompt;

  Split(String prompt) {
    this.prompt = prompt;
  }

  /** The beginning of its prompts' ids. */
  String prompt() {
    return prompt;
  }

  /** Its name in files. */
  public String key() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Its name for people. */
  public String title() {
    return key().replace('_', ' ');
  }
}
