package io.millrace.model.supervised;

/** Whether examples of a training sequence attend to each other. */
public enum Concatenation {
  /** No: attention and positions begin anew with each example. */
  PACKED,
  /**
   * Yes: positions run on, and a token attends to all earlier examples, as in the paper's plain
   * concatenation (Llama 2, arXiv 2307.09288, section 3.1).
   */
  CROSS_ATTENDING
}
