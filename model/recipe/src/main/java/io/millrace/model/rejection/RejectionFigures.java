package io.millrace.model.rejection;

import io.millrace.model.training.Checks;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The rewards of one version's samples: against their number, as in figure 7 of Llama 2 (arXiv
 * 2307.09288), and against the temperature, as in figure 8. Sample k has number k modulo n of the n
 * temperatures.
 */
public final class RejectionFigures {

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
  public RejectionFigures(int samples, List<Double> temperatures) {
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

  /** Means over the prompts, by name; what has none is left out. */
  public Map<String, Double> figures() {
    Map<String, Double> figures = new LinkedHashMap<>();
    byKind.forEach(
        (kind, curves) -> {
          if (curves.prompts > 0) {
            String prefix = "rejection/" + kind.key + "/";
            put(figures, prefix + "max", curves.best, curves.prompts);
            put(figures, prefix + "median", curves.median, curves.prompts);
            figures.put(prefix + "mean", curves.mean / curves.prompts);
            figures.put(prefix + "prompts", (double) curves.prompts);
          }
        });
    for (int t = 0; t < temperatures.size() && prompts > 0; t++) {
      String prefix = "rejection/temperature/" + temperatures.get(t) + "/";
      figures.put(prefix + "mean", sumAt[t] / prompts);
      put(figures, prefix + "max", bestAt[t], prompts);
    }
    if (prompts > 0) {
      figures.put("rejection/best-temperature", bestTemperature());
    }
    return figures;
  }

  private static void put(Map<String, Double> figures, String name, double[] sums, long count) {
    for (int k = 1; k <= sums.length; k++) {
      figures.put(name + "/k=" + k, sums[k - 1] / count);
    }
  }

  public void write(DataOutput out) throws IOException {
    out.writeInt(temperatures.size());
    for (double temperature : temperatures) {
      out.writeDouble(temperature);
    }
    out.writeLong(prompts);
    for (Curves curves : byKind.values()) {
      write(out, curves.best);
      write(out, curves.median);
      out.writeDouble(curves.mean);
      out.writeLong(curves.prompts);
    }
    write(out, sumAt);
    for (double[] best : bestAt) {
      write(out, best);
    }
  }

  /**
   * Restores what {@link #write} wrote.
   *
   * @throws IOException where it is of another number of samples, or another grid
   */
  public void read(DataInput in) throws IOException {
    List<Double> grid = new ArrayList<>();
    for (int left = in.readInt(); left > 0; left--) {
      grid.add(in.readDouble());
    }
    if (!grid.equals(temperatures)) {
      throw new IOException(
          "state is of the temperatures %s, this run has %s; begin a new run to change them"
              .formatted(grid, temperatures));
    }
    prompts = in.readLong();
    for (Curves curves : byKind.values()) {
      read(in, curves.best);
      read(in, curves.median);
      curves.mean = in.readDouble();
      curves.prompts = in.readLong();
    }
    read(in, sumAt);
    for (double[] best : bestAt) {
      read(in, best);
    }
  }

  private static void write(DataOutput out, double[] values) throws IOException {
    out.writeInt(values.length);
    for (double value : values) {
      out.writeDouble(value);
    }
  }

  private static void read(DataInput in, double[] values) throws IOException {
    int length = in.readInt();
    if (length != values.length) {
      throw new IOException(
          "state is of %d samples a prompt, this run has %d; begin a new run to change that"
              .formatted(length, values.length));
    }
    for (int i = 0; i < length; i++) {
      values[i] = in.readDouble();
    }
  }
}
