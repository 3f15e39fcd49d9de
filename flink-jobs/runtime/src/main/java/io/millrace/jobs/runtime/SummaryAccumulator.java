package io.millrace.jobs.runtime;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.api.common.functions.RuntimeContext;

/**
 * A bounded job's closing figures, from its state: exact also after restarts, since only the last
 * attempt's are kept.
 */
public final class SummaryAccumulator
    implements Accumulator<Map<String, Double>, HashMap<String, Double>> {

  private static final long serialVersionUID = 1;

  private HashMap<String, Double> figures = new HashMap<>();

  /** Puts figures on a job's record. */
  public static void report(RuntimeContext context, String name, Map<String, Double> figures) {
    SummaryAccumulator accumulator = new SummaryAccumulator();
    accumulator.add(figures);
    context.addAccumulator(name, accumulator);
  }

  @Override
  public void add(Map<String, Double> more) {
    figures.putAll(more);
  }

  @Override
  public HashMap<String, Double> getLocalValue() {
    return figures;
  }

  @Override
  public void resetLocal() {
    figures = new HashMap<>();
  }

  @Override
  public void merge(Accumulator<Map<String, Double>, HashMap<String, Double>> other) {
    other.getLocalValue().forEach((name, value) -> figures.merge(name, value, Double::sum));
  }

  @Override
  public Accumulator<Map<String, Double>, HashMap<String, Double>> clone() {
    SummaryAccumulator copy = new SummaryAccumulator();
    copy.figures = new HashMap<>(figures);
    return copy;
  }
}
