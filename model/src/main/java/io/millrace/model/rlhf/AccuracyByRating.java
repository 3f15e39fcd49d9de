package io.millrace.model.rlhf;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How often a reward model scored the preferred response higher, by rating (Llama 2, arXiv
 * 2307.09288, table 8). A tie counts as half.
 */
public final class AccuracyByRating {

  /** Ratings as they are told, from 0 on. */
  private static final List<String> NAMES =
      List.of("SIGNIFICANTLY_BETTER", "BETTER", "SLIGHTLY_BETTER", "NEGLIGIBLY_BETTER_OR_UNSURE");

  private final long[] judgments = new long[NAMES.size()];
  private final double[] correct = new double[NAMES.size()];

  /** Counts a judgment that was scored before it was learned from. */
  public void add(int rating, double preferredScore, double rejectedScore) {
    judgments[rating]++;
    if (preferredScore > rejectedScore) {
      correct[rating]++;
    } else if (preferredScore == rejectedScore) {
      correct[rating] += 0.5;
    }
  }

  /** Accuracy by rating name, and of "all"; a rating that never occurred is left out. */
  public Map<String, Double> figures() {
    Map<String, Double> figures = new LinkedHashMap<>();
    long total = 0;
    double totalCorrect = 0;
    for (int rating = 0; rating < judgments.length; rating++) {
      total += judgments[rating];
      totalCorrect += correct[rating];
      if (judgments[rating] > 0) {
        figures.put(NAMES.get(rating), correct[rating] / judgments[rating]);
      }
    }
    if (total > 0) {
      figures.put("all", totalCorrect / total);
    }
    return figures;
  }

  public void write(DataOutput out) throws IOException {
    for (int rating = 0; rating < judgments.length; rating++) {
      out.writeLong(judgments[rating]);
      out.writeDouble(correct[rating]);
    }
  }

  public void read(DataInput in) throws IOException {
    for (int rating = 0; rating < judgments.length; rating++) {
      judgments[rating] = in.readLong();
      correct[rating] = in.readDouble();
    }
  }
}
