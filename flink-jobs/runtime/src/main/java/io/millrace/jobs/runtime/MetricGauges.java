package io.millrace.jobs.runtime;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/**
 * The latest values of the training metrics of an operator, as gauges of Flink. {@link GaugeName}
 * gives their names and labels.
 */
final class MetricGauges {

  private final MetricGroup group;
  private final Map<String, Double> latest = new ConcurrentHashMap<>();
  private final Set<String> own = ConcurrentHashMap.newKeySet();

  MetricGauges(MetricGroup group) {
    this.group = group;
  }

  /** Registers a gauge whose value the operator knows at any time. Updates do not change it. */
  void register(String name, LongSupplier value) {
    own.add(name);
    Gauge<Long> gauge = value::getAsLong;
    group.gauge(name, gauge);
  }

  /** Takes new values. A metric that is new gets its gauge. */
  void update(Map<String, Double> metrics) {
    metrics.forEach(
        (name, value) -> {
          if (!own.contains(name) && latest.put(name, value) == null) {
            register(name);
          }
        });
  }

  private void register(String metric) {
    GaugeName name = GaugeName.of(metric);
    MetricGroup labelled = group;
    for (Map.Entry<String, String> label : name.labels()) {
      labelled = labelled.addGroup(label.getKey(), label.getValue());
    }
    Gauge<Double> gauge = () -> latest.get(metric);
    labelled.gauge(name.name(), gauge);
  }
}
