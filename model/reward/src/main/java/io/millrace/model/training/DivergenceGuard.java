package io.millrace.model.training;

import java.util.List;
import java.util.function.Supplier;

/**
 * Ends a training that has diverged. A loss that is not finite comes from weights that are not: it
 * ends the training at once. A gradient that is not finite may come from one batch; its update is
 * skipped, up to {@value #MAX_SKIPPED} times in a row.
 */
public final class DivergenceGuard {

  /** Skipped updates in a row that end the training. */
  public static final int MAX_SKIPPED = 8;

  private final String records;
  private int skippedInARow;

  /**
   * @param records what the training learns from, for messages: {@code demonstrations}
   */
  public DivergenceGuard(String records) {
    this.records = records;
  }

  /**
   * Checks an update.
   *
   * @param loss before the update
   * @param ids of the update's records
   * @throws DivergedException naming the records
   */
  public void check(double loss, Optimizer.Update update, Supplier<List<String>> ids) {
    if (!Double.isFinite(loss)) {
      throw new DivergedException(
          "The loss is %s at learning rate %s".formatted(loss, update.learningRate()),
          records,
          ids.get());
    }
    boolean diverged = !update.applied() && !Double.isFinite(update.gradientNorm());
    skippedInARow = diverged ? skippedInARow + 1 : 0;
    if (skippedInARow >= MAX_SKIPPED) {
      throw new DivergedException(skippedInARow, records, ids.get());
    }
  }
}
