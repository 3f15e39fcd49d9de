package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The ratio of sources in a batch (Llama 2, arXiv 2307.09288, section 3.2.2: half own and half open
 * data for helpfulness; 90 % and 10 % for safety).
 *
 * @param ratios by source, above 0; only their proportions count
 */
public record SourceRatios(NavigableMap<String, Double> ratios) implements Serializable {

  /** The source of all records if sources are not mixed. */
  public static final String ANY = "*";

  public SourceRatios {
    ratios = Collections.unmodifiableNavigableMap(new TreeMap<>(ratios));
    if (ratios.isEmpty()) {
      throw new IllegalArgumentException("ratios must name at least one source");
    }
    ratios.forEach(
        (source, ratio) ->
            Checks.that(
                ratio > 0 && Double.isFinite(ratio),
                "ratio of source " + source,
                ratio,
                "finite and above 0"));
  }

  /** No mixing: all records have one source. */
  public static SourceRatios asTheyCome() {
    return of(Map.of(ANY, 1.0));
  }

  public static SourceRatios of(Map<String, Double> ratios) {
    return new SourceRatios(new TreeMap<>(ratios));
  }

  /** Whether a source has a ratio. */
  public boolean names(String source) {
    return ratios.containsKey(source);
  }

  /** A source's share of a batch; 0 for a source without a ratio. */
  public double share(String source) {
    return ratios.getOrDefault(source, 0.0)
        / ratios.values().stream().mapToDouble(Double::doubleValue).sum();
  }

  /**
   * Number of records of each source in a batch: each share is rounded down, then the sources with
   * the largest remainders get one more record each (Hamilton's method).
   *
   * @param batchSize records of a batch
   * @return by source, in the order of their names; the sum is {@code batchSize}
   * @throws IllegalArgumentException if a source's share of a batch is below one record
   */
  public SortedMap<String, Integer> quotas(int batchSize) {
    SortedMap<String, Integer> quotas = new TreeMap<>();
    Map<String, Double> remainders = new TreeMap<>();
    int left = batchSize;
    for (String source : ratios.keySet()) {
      double exact = share(source) * batchSize;
      // Shares are rounded quotients: 0.1 / (0.9 + 0.1) of 10 must be 1.
      int whole = (int) Math.floor(exact + 1e-9);
      if (whole < 1) {
        throw new IllegalArgumentException(
            "source %s has %.3g of a batch of %d, which is less than one record"
                .formatted(source, share(source), batchSize));
      }
      quotas.put(source, whole);
      remainders.put(source, exact - whole);
      left -= whole;
    }
    List<String> byRemainder = new ArrayList<>(remainders.keySet());
    // A stable sort: equal remainders stay in the order of the names.
    byRemainder.sort(Comparator.comparingDouble(source -> -remainders.get(source)));
    for (String source : byRemainder.subList(0, left)) {
      quotas.merge(source, 1, Integer::sum);
    }
    return quotas;
  }
}
