package io.millrace.model.rejection;

import io.millrace.model.training.Checks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * Metrics of the rewards of one version's samples: by the number of samples, as in figure 7 of
 * Llama 2 (arXiv 2307.09288), and by temperature, as in figure 8. Sample k has the temperature with
 * number k mod n of the n temperatures.
 *
 * <p>A sample that can never win is worth as much as the worst one of its prompt that can. The
 * rewards of helpfulness and of safety prompts have different scales, so temperatures are compared
 * for each kind.
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

  private final Map<Kind, Grid> grids = new EnumMap<>(Kind.class);
  private long prompts;
  private long withoutUsable;

  /** Sums over prompts by temperature. */
  private static final class Grid {

    /** Of the best of m samples, {@code [temperatures][m]}. */
    private final double[][] best;

    private final double[] sum;
    private long prompts;

    Grid(int temperatures, int compared) {
      best = new double[temperatures][compared];
      sum = new double[temperatures];
    }
  }

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
    for (Kind kind : Kind.values()) {
      byKind.put(kind, new Curves(samples));
    }
    for (Kind kind : List.of(Kind.HELPFULNESS, Kind.SAFETY)) {
      grids.put(kind, new Grid(temperatures.size(), ofTemperature.samples()));
    }
  }

  /**
   * Counts a prompt; one without a usable sample only as such.
   *
   * @param rewards of its samples, in the order in which they were sampled, {@code [K]}
   * @param usable whether each can win, {@code [K]}
   * @throws IllegalArgumentException if a reward is not finite
   */
  public void add(double[] rewards, boolean[] usable, boolean isSafety) {
    Checks.sameLength("usable samples", usable.length, rewards.length);
    Checks.finite("rewards", rewards);
    double[] winnable =
        IntStream.range(0, rewards.length)
            .filter(k -> usable[k])
            .mapToDouble(k -> rewards[k])
            .toArray();
    if (winnable.length == 0) {
      withoutUsable++;
      return;
    }
    double lowest = Arrays.stream(winnable).min().orElseThrow();
    double[] worth = rewards.clone();
    for (int k = 0; k < worth.length; k++) {
      worth[k] = usable[k] ? worth[k] : lowest;
    }
    Kind kind = isSafety ? Kind.SAFETY : Kind.HELPFULNESS;
    double[] best = ofAll.best(worth);
    double[] median = ofAll.median(worth);
    for (Kind counted : List.of(Kind.ALL, kind)) {
      Curves curves = byKind.get(counted);
      addTo(curves.best, best);
      addTo(curves.median, median);
      curves.mean += mean(winnable);
      curves.prompts++;
    }
    Grid grid = grids.get(kind);
    int compared = ofTemperature.samples();
    for (int t = 0; t < temperatures.size(); t++) {
      double[] own = new double[compared];
      for (int i = 0; i < compared; i++) {
        own[i] = worth[i * temperatures.size() + t];
      }
      addTo(grid.best[t], ofTemperature.best(own));
      grid.sum[t] += mean(own);
    }
    grid.prompts++;
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

  /** Prompts with a usable sample. */
  public long prompts() {
    return prompts;
  }

  /**
   * The temperature at which the best of all compared samples is worth most; the lower one of two
   * that are equal. NaN without prompts of the kind.
   */
  public double bestTemperature(boolean isSafety) {
    return bestTemperature(grids.get(isSafety ? Kind.SAFETY : Kind.HELPFULNESS));
  }

  private double bestTemperature(Grid grid) {
    int best = -1;
    for (int t = 0; t < temperatures.size() && grid.prompts > 0; t++) {
      double worth = grid.best[t][ofTemperature.samples() - 1];
      double before = best < 0 ? 0 : grid.best[best][ofTemperature.samples() - 1];
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
    grids.forEach(
        (kind, grid) -> {
          for (int t = 0; t < temperatures.size() && grid.prompts > 0; t++) {
            String prefix = "rejection/%s/temperature/%s/".formatted(kind.key, temperatures.get(t));
            metrics.put(prefix + "mean", grid.sum[t] / grid.prompts);
            put(metrics, prefix + "max", grid.best[t], grid.prompts);
          }
          if (grid.prompts > 0) {
            metrics.put("rejection/" + kind.key + "/best-temperature", bestTemperature(grid));
          }
        });
    if (prompts + withoutUsable > 0) {
      metrics.put("rejection/prompts-without-usable", (double) withoutUsable);
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

  /** Sums of one kind of prompt by temperature. */
  private record GridState(long prompts, List<TemperatureState> temperatures) {}

  /**
   * The state: sums over the prompts so far.
   *
   * @param temperatures of all prompts together, as earlier builds compared them; only the grid is
   *     read
   * @param helpfulnessGrid null in states of earlier builds, as the next
   */
  public record State(
      long prompts,
      CurvesState all,
      CurvesState helpfulness,
      CurvesState safety,
      List<TemperatureState> temperatures,
      @AvroDefault("0") long withoutUsable,
      @Nullable @AvroDefault("null") GridState helpfulnessGrid,
      @Nullable @AvroDefault("null") GridState safetyGrid) {}

  public State state() {
    return new State(
        prompts,
        CurvesState.of(byKind.get(Kind.ALL)),
        CurvesState.of(byKind.get(Kind.HELPFULNESS)),
        CurvesState.of(byKind.get(Kind.SAFETY)),
        temperatures.stream().map(t -> new TemperatureState(t, 0, new double[0])).toList(),
        withoutUsable,
        state(grids.get(Kind.HELPFULNESS)),
        state(grids.get(Kind.SAFETY)));
  }

  private GridState state(Grid grid) {
    List<TemperatureState> sums = new ArrayList<>();
    for (int t = 0; t < grid.sum.length; t++) {
      sums.add(new TemperatureState(temperatures.get(t), grid.sum[t], grid.best[t]));
    }
    return new GridState(grid.prompts, sums);
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
    withoutUsable = state.withoutUsable();
    restore(Kind.ALL, state.all());
    restore(Kind.HELPFULNESS, state.helpfulness());
    restore(Kind.SAFETY, state.safety());
    restore(Kind.HELPFULNESS, state.helpfulnessGrid());
    restore(Kind.SAFETY, state.safetyGrid());
  }

  private void restore(Kind kind, GridState state) {
    if (state == null) {
      return;
    }
    Grid grid = grids.get(kind);
    grid.prompts = state.prompts();
    for (int t = 0; t < grid.sum.length; t++) {
      grid.sum[t] = state.temperatures().get(t).sum();
      copy(state.temperatures().get(t).best(), grid.best[t]);
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
