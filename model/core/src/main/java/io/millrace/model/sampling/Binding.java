package io.millrace.model.sampling;

/** Responses that are all of one policy: the policy of the first that starts. */
final class Binding {

  private int notStarted;
  private Policy policy;

  Binding(int responses) {
    this.notStarted = responses;
  }

  /** The policy of all responses; null before the first has started. */
  Policy policy() {
    return policy;
  }

  /**
   * Binds the responses to the policy of the first.
   *
   * @return the number of responses that will start with it, the first included
   */
  int bind(Policy first) {
    policy = first;
    return notStarted;
  }

  /** Reports that a response has started, or never will. */
  void settle() {
    notStarted--;
  }
}
