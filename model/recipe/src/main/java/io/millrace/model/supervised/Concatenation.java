package io.millrace.model.supervised;

/** How the examples of a training sequence see one another. */
public enum Concatenation {
  /** Not at all: attention and positions begin anew with each example. */
  PACKED,
  /**
   * As one text: positions run on and a token attends to all examples before its own, as in the
   * paper's plain concatenation (Llama 2, arXiv 2307.09288, section 3.1).
   */
  CROSS_ATTENDING
}
