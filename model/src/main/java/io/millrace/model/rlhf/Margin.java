package io.millrace.model.rlhf;

/** m(rating) of the ranking loss (Llama 2, arXiv 2307.09288, table 27). */
public enum Margin {
  /** No margin. */
  NONE(0, 0, 0),
  /** 1, 2/3, 1/3, 0. */
  SMALL(1, 2.0 / 3, 1.0 / 3),
  /** 3, 2, 1, 0. */
  LARGE(3, 2, 1);

  private final double significantlyBetter;
  private final double better;
  private final double slightlyBetter;

  Margin(double significantlyBetter, double better, double slightlyBetter) {
    this.significantlyBetter = significantlyBetter;
    this.better = better;
    this.slightlyBetter = slightlyBetter;
  }

  /** m of a rating from 0, significantly better, to 3, negligibly better or unsure. */
  public double of(int rating) {
    return switch (rating) {
      case 0 -> significantlyBetter;
      case 1 -> better;
      case 2 -> slightlyBetter;
      case 3 -> 0;
      default -> throw new IllegalArgumentException("a rating is from 0 to 3, not " + rating);
    };
  }
}
