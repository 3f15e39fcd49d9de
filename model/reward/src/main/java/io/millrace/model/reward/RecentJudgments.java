package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.util.Arrays;

/**
 * The last judgments that a reward model scored before it learned from them. Metrics over all
 * judgments hide a change; these show it.
 */
public final class RecentJudgments {

  private final double[] differences;
  private long added;

  /**
   * @param size judgments that count
   */
  public RecentJudgments(int size) {
    Checks.that(size >= 1, "size", size, "at least 1");
    differences = new double[size];
  }

  /**
   * Counts a judgment; the oldest one no longer counts.
   *
   * @param difference score of the preferred response minus that of the other
   * @throws IllegalArgumentException if it is not finite
   */
  public void add(double difference) {
    differences[(int) (added % differences.length)] = Checks.finite("difference", difference);
    added++;
  }

  /** Judgments that count. */
  public int size() {
    return (int) Math.min(added, differences.length);
  }

  /** Share of them that the model agrees with; equal scores count half. NaN if there are none. */
  public double accuracy() {
    return Arrays.stream(differences, 0, size())
        .map(Reliability::correct)
        .average()
        .orElse(Double.NaN);
  }

  /** Brier score and calibration error of them. */
  public Reliability reliability() {
    Reliability reliability = new Reliability();
    Arrays.stream(differences, 0, size()).forEach(reliability::add);
    return reliability;
  }

  /**
   * The window.
   *
   * @param differences in the order of a ring, {@code [size]}
   */
  public record State(double[] differences, long added) {}

  /** The window, for {@link #restore}. */
  public State state() {
    return new State(Arrays.copyOf(differences, size()), added);
  }

  /** Continues from a state. */
  public void restore(State state) {
    int kept = (int) Math.min(state.added(), differences.length);
    Checks.sameLength("recent judgments", state.differences().length, kept);
    System.arraycopy(state.differences(), 0, differences, 0, kept);
    added = state.added();
  }
}
