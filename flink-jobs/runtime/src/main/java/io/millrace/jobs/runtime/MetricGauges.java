package io.millrace.jobs.runtime;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/** The latest value of every figure that an operator reports, as Flink gauges of the same names. */
final class MetricGauges {

  private final MetricGroup group;
  private final Map<String, Double> latest = new ConcurrentHashMap<>();

  MetricGauges(MetricGroup group) {
    this.group = group;
  }

  /** Takes new values; a figure that was not there before gets its gauge. */
  void update(Map<String, Double> figures) {
    figures.forEach(
        (name, value) -> {
          if (latest.put(name, value) == null) {
            Gauge<Double> gauge = () -> latest.get(name);
            group.gauge(name, gauge);
          }
        });
  }
}
