package io.millrace.model.rejection;

import io.millrace.model.training.Checks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Metrics of the rewards of one version's samples: by the number of samples, as in figure 7 of
 * Llama 2 (arXiv 2307.09288), and by temperature, as in figure 8. Sample k has the temperature with
 * number k mod n of the n temperatures.
 */
public final class RejectionMetrics {

  /** Which prompts a curve is over. */
  private enum Kind {
    ALL("all"),
    HELPFULNESS("helpfulness"),
    SAFETY("safety");

    private final String key;

    Kind(String key) {
      this.key = key;
    }
  }

  private final BestOfK ofAll;
  private final BestOfK ofTemperature;
  private final List<Double> temperatures;
  private final Map<Kind, Curves> byKind = new EnumMap<>(Kind.class);

  /** Sums over prompts of the best of m samples at each temperature, {@code [temperatures][m]}. */
  private final double[][] bestAt;

  private final double[] sumAt;
  private long prompts;

  /** Sums over prompts. */
  private static final class Curves {
    private final double[] best;
    private final double[] median;
    private double mean;
    private long prompts;

    Curves(int samples) {
      best = new double[samples];
      median = new double[samples];
    }
  }

  /**
   * No prompts yet.
   *
   * @param samples K
   * @param temperatures the grid, 1 to K of them
   */
  public RejectionMetrics(int samples, List<Double> temperatures) {
    Checks.that(
        !temperatures.isEmpty() && temperatures.size() <= samples,
        "temperatures",
        temperatures.size(),
        "1 to " + samples);
    this.ofAll = new BestOfK(samples);
    // Every temperature has at least so many; those with one more leave it out of the comparison.
    this.ofTemperature = new BestOfK(samples / temperatures.size());
    this.temperatures = List.copyOf(temperatures);
    this.bestAt = new double[temperatures.size()][ofTemperature.samples()];
    this.sumAt = new double[temperatures.size()];
    for (Kind kind : Kind.values()) {
      byKind.put(kind, new Curves(samples));
    }
  }

  /**
   * Counts a prompt.
   *
   * @param rewards of its samples, in the order in which they were sampled, {@code [K]}
   * @throws IllegalArgumentException if one is not finite
   */
  public void add(double[] rewards, boolean isSafety) {
    double[] best = ofAll.best(rewards);
    double[] median = ofAll.median(rewards);
    double mean = mean(rewards);
    for (Kind kind : List.of(Kind.ALL, isSafety ? Kind.SAFETY : Kind.HELPFULNESS)) {
      Curves curves = byKind.get(kind);
      addTo(curves.best, best);
      addTo(curves.median, median);
      curves.mean += mean;
      curves.prompts++;
    }
    int compared = ofTemperature.samples();
    for (int t = 0; t < temperatures.size(); t++) {
      double[] own = new double[compared];
      for (int i = 0; i < compared; i++) {
        own[i] = rewards[i * temperatures.size() + t];
      }
      addTo(bestAt[t], ofTemperature.best(own));
      sumAt[t] += mean(own);
    }
    prompts++;
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).sum() / values.length;
  }

  private static void addTo(double[] sums, double[] values) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += values[i];
    }
  }

  public long prompts() {
    return prompts;
  }

  /**
   * The temperature at which the best of all compared samples is worth most; the lower one of two
   * that are equal. NaN without prompts.
   */
  public double bestTemperature() {
    int best = -1;
    for (int t = 0; t < temperatures.size() && prompts > 0; t++) {
      double worth = bestAt[t][ofTemperature.samples() - 1];
      double before = best < 0 ? 0 : bestAt[best][ofTemperature.samples() - 1];
      if (best < 0
          || worth > before
          || (worth == before && temperatures.get(t) < temperatures.get(best))) {
        best = t;
      }
    }
    return best < 0 ? Double.NaN : temperatures.get(best);
  }

  /** Means over the prompts, by name. Kinds of prompts without a prompt are left out. */
  public Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    byKind.forEach(
        (kind, curves) -> {
          if (curves.prompts > 0) {
            String prefix = "rejection/" + kind.key + "/";
            put(metrics, prefix + "max", curves.best, curves.prompts);
            put(metrics, prefix + "median", curves.median, curves.prompts);
            metrics.put(prefix + "mean", curves.mean / curves.prompts);
            metrics.put(prefix + "prompts", (double) curves.prompts);
          }
        });
    for (int t = 0; t < temperatures.size() && prompts > 0; t++) {
      String prefix = "rejection/temperature/" + temperatures.get(t) + "/";
      metrics.put(prefix + "mean", sumAt[t] / prompts);
      put(metrics, prefix + "max", bestAt[t], prompts);
    }
    if (prompts > 0) {
      metrics.put("rejection/best-temperature", bestTemperature());
    }
    return metrics;
  }

  private static void put(Map<String, Double> metrics, String name, double[] sums, long count) {
    for (int k = 1; k <= sums.length; k++) {
      metrics.put(name + "/k=" + k, sums[k - 1] / count);
    }
  }

  /** Sums of one kind of prompt. */
  private record CurvesState(double[] best, double[] median, double mean, long prompts) {

    static CurvesState of(Curves curves) {
      return new CurvesState(curves.best, curves.median, curves.mean, curves.prompts);
    }
  }

  /**
   * The sums over prompts.
   *
   * @param best for each temperature, by the number of samples
   */
  private record TemperatureState(double temperature, double sum, double[] best) {}

  /** The state: sums over the prompts so far. */
  public record State(
      long prompts,
      CurvesState all,
      CurvesState helpfulness,
      CurvesState safety,
      List<TemperatureState> temperatures) {}

  public State state() {
    List<TemperatureState> grid = new ArrayList<>();
    for (int t = 0; t < sumAt.length; t++) {
      grid.add(new TemperatureState(temperatures.get(t), sumAt[t], bestAt[t]));
    }
    return new State(
        prompts,
        CurvesState.of(byKind.get(Kind.ALL)),
        CurvesState.of(byKind.get(Kind.HELPFULNESS)),
        CurvesState.of(byKind.get(Kind.SAFETY)),
        grid);
  }

  /**
   * Restores a state.
   *
   * @throws IllegalArgumentException if it has another number of samples or another grid
   */
  public void restore(State state) {
    List<Double> grid = state.temperatures().stream().map(TemperatureState::temperature).toList();
    if (!grid.equals(temperatures)) {
      throw new IllegalArgumentException(
          "the state has the temperatures %s, rejection-sampling.temperatures has %s; start a new run to change them"
              .formatted(grid, temperatures));
    }
    prompts = state.prompts();
    restore(Kind.ALL, state.all());
    restore(Kind.HELPFULNESS, state.helpfulness());
    restore(Kind.SAFETY, state.safety());
    for (int t = 0; t < sumAt.length; t++) {
      sumAt[t] = state.temperatures().get(t).sum();
      copy(state.temperatures().get(t).best(), bestAt[t]);
    }
  }

  private void restore(Kind kind, CurvesState state) {
    Curves curves = byKind.get(kind);
    copy(state.best(), curves.best);
    copy(state.median(), curves.median);
    curves.mean = state.mean();
    curves.prompts = state.prompts();
  }

  private static void copy(double[] from, double[] to) {
    if (from.length != to.length) {
      throw new IllegalArgumentException(
          "the state has %d samples per prompt, this run has %d; start a new run to change rejection-sampling.samples-per-prompt"
              .formatted(from.length, to.length));
    }
    System.arraycopy(from, 0, to, 0, to.length);
  }
}
