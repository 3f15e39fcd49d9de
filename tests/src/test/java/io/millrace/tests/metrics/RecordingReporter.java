package io.millrace.tests.metrics;

import io.prometheus.client.Collector;
import io.prometheus.client.CollectorRegistry;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.prometheus.AbstractPrometheusReporter;

/** Flink's Prometheus reporter, which keeps the metrics of jobs that have ended. */
public final class RecordingReporter extends AbstractPrometheusReporter {

  private final CollectorRegistry registry;

  RecordingReporter() {
    try {
      Field field = AbstractPrometheusReporter.class.getDeclaredField("registry");
      field.setAccessible(true);
      registry = (CollectorRegistry) field.get(this);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("this Flink has another Prometheus reporter", e);
    }
  }

  /** A sample of every metric so far, as Prometheus gets it. */
  List<Collector.MetricFamilySamples.Sample> samples() {
    List<Collector.MetricFamilySamples.Sample> samples = new ArrayList<>();
    Collections.list(registry.metricFamilySamples())
        .forEach(family -> samples.addAll(family.samples));
    return samples;
  }

  @Override
  public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
    super.notifyOfAddedMetric(metric instanceof Gauge<?> gauge ? kept(gauge) : metric, name, group);
  }

  /** A gauge that answers after its operator is closed, too. */
  private static Gauge<?> kept(Gauge<?> gauge) {
    Object[] last = new Object[1];
    return () -> {
      try {
        last[0] = gauge.getValue();
      } catch (RuntimeException e) {
        // The operator is closed.
      }
      return last[0];
    };
  }

  @Override
  public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {
    // Bounded jobs end before anyone could scrape them.
  }
}
