package io.millrace.model.annotators;

import io.millrace.model.training.Checks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Agreement of annotators where they judged the same pair, corrected for chance. Ratings are
 * ordered categories 0 to q − 1 at equal distances.
 *
 * <ul>
 *   <li>Krippendorff's α with the interval metric (k − l)² (Krippendorff, "Computing Krippendorff's
 *       alpha-reliability", 2011): α = 1 − (n − 1) · Σ o_kl (k − l)² / Σ n_k n_l (k − l)², with
 *       coincidences o_kl.
 *   <li>Gwet's AC2 with quadratic weights (Gwet, "Handbook of inter-rater reliability", 4th
 *       edition, 2014, section 5.3): (p_a − p_e) / (1 − p_e). Where nearly all ratings are alike α
 *       falls to 0 although annotators agree; AC2 does not.
 * </ul>
 *
 * <p>Pairs are remembered in bounded number. A forgotten pair stays in the sums.
 */
public final class AnnotatorAgreement {

  /** Ratings of one pair that count. */
  private static final int MOST_RATINGS = 16;

  private final int categories;
  private final int remembered;
  private final Map<Long, List<Rating>> units = new LinkedHashMap<>();
  private Sums sums;

  /**
   * One annotator's rating of a pair.
   *
   * @param category 0 to q − 1
   */
  public record Rating(String annotator, int category) {}

  /**
   * Sums over all pairs.
   *
   * @param units pairs with a rating
   * @param overlapping pairs with two or more
   * @param coincidences o_kl, {@code [q · q]}
   * @param shares sum over the pairs of the share of each category, {@code [q]}
   * @param agreement sum over the overlapping pairs of their weighted agreement
   */
  public record Sums(
      long units, long overlapping, double[] coincidences, double[] shares, double agreement) {}

  /**
   * No ratings.
   *
   * @param categories q, at least 2
   * @param remembered pairs whose ratings are remembered; the oldest is forgotten first
   */
  public AnnotatorAgreement(int categories, int remembered) {
    Checks.that(categories >= 2, "categories", categories, "at least 2");
    Checks.that(remembered >= 1, "remembered", remembered, "at least 1");
    this.categories = categories;
    this.remembered = remembered;
    this.sums = new Sums(0, 0, new double[categories * categories], new double[categories], 0);
  }

  /**
   * Adds a rating. A second rating of the same annotator does not count.
   *
   * @param unit the pair
   * @return whether it counts
   */
  public boolean add(long unit, String annotator, int category) {
    Checks.that(category >= 0 && category < categories, "category", category, "0 to q - 1");
    List<Rating> before = ratings(unit);
    if (before.size() >= MOST_RATINGS
        || before.stream().anyMatch(rating -> rating.annotator().equals(annotator))) {
      return false;
    }
    List<Rating> after = new ArrayList<>(before);
    after.add(new Rating(annotator, category));
    replace(unit, after);
    while (units.size() > remembered) {
      units.remove(units.keySet().iterator().next());
    }
    return true;
  }

  /** The ratings of a pair so far. */
  public List<Rating> ratings(long unit) {
    return units.getOrDefault(unit, List.of());
  }

  /** Removes an annotator's ratings of the pairs that are remembered. */
  public void remove(String annotator) {
    for (long unit : List.copyOf(units.keySet())) {
      List<Rating> kept =
          ratings(unit).stream().filter(rating -> !rating.annotator().equals(annotator)).toList();
      if (kept.size() < ratings(unit).size()) {
        replace(unit, kept);
      }
    }
  }

  private void replace(long unit, List<Rating> ratings) {
    count(ratings(unit), -1);
    count(ratings, 1);
    if (ratings.isEmpty()) {
      units.remove(unit);
    } else {
      units.put(unit, ratings);
    }
  }

  /** Adds a pair's part of the sums, or takes it away. */
  private void count(List<Rating> ratings, int sign) {
    int m = ratings.size();
    if (m == 0) {
      return;
    }
    double agreement = sums.agreement();
    for (int i = 0; i < m; i++) {
      int k = ratings.get(i).category();
      sums.shares()[k] += (double) sign / m;
      for (int j = 0; j < m; j++) {
        if (i != j) {
          int l = ratings.get(j).category();
          sums.coincidences()[k * categories + l] += (double) sign / (m - 1);
          agreement += sign * weight(k, l) / (m * (m - 1));
        }
      }
    }
    sums =
        new Sums(
            sums.units() + sign,
            sums.overlapping() + (m >= 2 ? sign : 0),
            sums.coincidences(),
            sums.shares(),
            agreement);
  }

  private double weight(int k, int l) {
    double distance = (double) (k - l) / (categories - 1);
    return 1 - distance * distance;
  }

  /** Pairs that two or more annotators judged. */
  public long overlapping() {
    return sums.overlapping();
  }

  /** Krippendorff's α, at most 1; NaN if no pairs overlap or all their ratings are alike. */
  public double alpha() {
    double[] n = new double[categories];
    double total = 0;
    double observed = 0;
    for (int k = 0; k < categories; k++) {
      for (int l = 0; l < categories; l++) {
        double o = sums.coincidences()[k * categories + l];
        n[k] += o;
        total += o;
        observed += o * (k - l) * (k - l);
      }
    }
    double expected = 0;
    for (int k = 0; k < categories; k++) {
      for (int l = 0; l < categories; l++) {
        expected += n[k] * n[l] * (k - l) * (k - l);
      }
    }
    return overlapping() == 0 || expected == 0 ? Double.NaN : 1 - (total - 1) * observed / expected;
  }

  /** Gwet's AC2, at most 1; NaN if no pairs overlap. */
  public double ac2() {
    double weights = 0;
    double chance = 0;
    for (int k = 0; k < categories; k++) {
      double share = sums.shares()[k] / sums.units();
      chance += share * (1 - share);
      for (int l = 0; l < categories; l++) {
        weights += weight(k, l);
      }
    }
    chance *= weights / (categories * (categories - 1.0));
    return overlapping() == 0
        ? Double.NaN
        : (sums.agreement() / overlapping() - chance) / (1 - chance);
  }

  /** A pair with its ratings. */
  public record Unit(long unit, List<Rating> ratings) {}

  /**
   * What was counted.
   *
   * @param units pairs that are remembered, the oldest first
   */
  public record State(List<Unit> units, Sums sums) {}

  public State state() {
    return new State(
        units.entrySet().stream().map(e -> new Unit(e.getKey(), e.getValue())).toList(),
        new Sums(
            sums.units(),
            sums.overlapping(),
            sums.coincidences().clone(),
            sums.shares().clone(),
            sums.agreement()));
  }

  /** Continues from a state. */
  public void restore(State state) {
    Checks.sameLength("coincidences", state.sums().coincidences().length, categories * categories);
    Checks.sameLength("shares", state.sums().shares().length, categories);
    units.clear();
    state.units().forEach(unit -> units.put(unit.unit(), unit.ratings()));
    sums =
        new Sums(
            state.sums().units(),
            state.sums().overlapping(),
            Arrays.copyOf(state.sums().coincidences(), categories * categories),
            Arrays.copyOf(state.sums().shares(), categories),
            state.sums().agreement());
  }
}
