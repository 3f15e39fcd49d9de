package io.millrace.model.reward;

/**
 * The margin m(rating) by which the chosen response's score should exceed the rejected response's
 * score (Llama 2, arXiv 2307.09288, section 3.2.2, equation 2; the two scales: appendix A.3.3).
 *
 * <p>Ratings are ordinals: 0 significantly better, 1 better, 2 slightly better, 3 negligibly better
 * or unsure.
 */
public enum Margin {
  /** 0, 0, 0, 0. */
  NONE(0),
  /** 1, 2/3, 1/3, 0. */
  SMALL(1),
  /** 3, 2, 1, 0. */
  LARGE(3);

  /** Number of ratings. */
  static final int RATINGS = 4;

  private final double largest;

  Margin(double largest) {
    this.largest = largest;
  }

  /**
   * m(rating).
   *
   * @param rating ordinal, 0 to 3
   * @throws IllegalArgumentException for any other value
   */
  public double of(int rating) {
    return largest * (RATINGS - 1 - checkRating(rating)) / (RATINGS - 1);
  }

  static int checkRating(int rating) {
    if (rating < 0 || rating >= RATINGS) {
      throw new IllegalArgumentException(
          "a rating must be 0 (significantly better) to 3 (negligibly better or unsure), not "
              + rating);
    }
    return rating;
  }
}
