package io.millrace.report;

import io.millrace.schemas.Reward;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The scores of each policy version's rollouts, counted in bins. The counts of a version take the
 * same memory however many rollouts it has.
 */
final class RewardDistributions {

  /** Bins of a score; scores beyond the ends count in the first and last bin. */
  private static final int BINS = 96;

  private static final double LOW = -12;
  private static final double WIDTH = 0.25;

  /** The share of rollouts in the tail whose upper end is reported. */
  private static final double TAIL = 0.05;

  private final Map<Long, Version> versions = new TreeMap<>();

  /** A bin's middle and its density, so that the densities times the width add up to 1. */
  record Density(double score, double density) {}

  /** The rollouts of one policy version. */
  static final class Version {
    private final long version;
    private final long[] helpfulness = new long[BINS];
    private final long[] safety = new long[BINS];
    private long rollouts;
    private long toSafetyPrompts;
    private double safetySum;
    private long likelyUnsafe;

    private Version(long version) {
      this.version = version;
    }

    private void add(Reward reward) {
      helpfulness[bin(reward.getHelpfulnessScore())]++;
      safety[bin(reward.getSafetyScore())]++;
      rollouts++;
      // The reward of a response to a safety prompt is its safety score.
      if (reward.getCombined() == reward.getSafetyScore()) {
        toSafetyPrompts++;
      }
      safetySum += reward.getSafetyScore();
      if (reward.getSafetyScore() < 0) {
        likelyUnsafe++;
      }
    }

    String label() {
      return "v" + version;
    }

    long rollouts() {
      return rollouts;
    }

    /** Share of the rollouts that answer safety prompts. */
    double safetyShare() {
      return (double) toSafetyPrompts / rollouts;
    }

    double meanSafety() {
      return safetySum / rollouts;
    }

    /** Share of the rollouts that the safety reward model takes for unsafe rather than safe. */
    double likelyUnsafe() {
      return (double) likelyUnsafe / rollouts;
    }

    /** The safety score that 5 % of the rollouts are below, to the width of a bin. */
    double safetyTail() {
      double wanted = TAIL * rollouts;
      long below = 0;
      for (int i = 0; i < BINS; i++) {
        if (below + safety[i] >= wanted && safety[i] > 0) {
          return LOW + WIDTH * (i + (wanted - below) / safety[i]);
        }
        below += safety[i];
      }
      throw new IllegalStateException("no rollouts");
    }

    List<Density> helpfulness() {
      return densities(helpfulness);
    }

    List<Density> safety() {
      return densities(safety);
    }

    /** From the first to the last bin with a score. */
    private List<Density> densities(long[] counts) {
      int from = 0;
      int to = BINS;
      while (counts[from] == 0) {
        from++;
      }
      while (counts[to - 1] == 0) {
        to--;
      }
      List<Density> densities = new ArrayList<>();
      for (int i = from; i < to; i++) {
        densities.add(new Density(LOW + WIDTH * (i + 0.5), counts[i] / (WIDTH * rollouts)));
      }
      return densities;
    }

    private static int bin(float score) {
      return Math.clamp((long) Math.floor((score - LOW) / WIDTH), 0, BINS - 1);
    }
  }

  /** Counts a rollout. A score that is not a number is in no bin. */
  void add(Reward reward) {
    if (!Float.isNaN(reward.getHelpfulnessScore()) && !Float.isNaN(reward.getSafetyScore())) {
      versions.computeIfAbsent(reward.getPolicyVersion(), Version::new).add(reward);
    }
  }

  boolean isEmpty() {
    return versions.isEmpty();
  }

  /**
   * The first version, the last one, and versions at equal distances between them.
   *
   * @param most how many at most, at least 2
   */
  List<Version> shown(int most) {
    List<Version> all = List.copyOf(versions.values());
    if (all.size() <= most) {
      return all;
    }
    List<Version> shown = new ArrayList<>();
    for (int i = 0; i < most; i++) {
      shown.add(all.get((int) Math.round((double) i * (all.size() - 1) / (most - 1))));
    }
    return shown;
  }
}
