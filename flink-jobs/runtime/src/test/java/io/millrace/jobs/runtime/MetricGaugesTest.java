package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.Test;

class MetricGaugesTest {

  /** Keeps what is registered; a name registered twice is an error in Flink too. */
  private static final class Group extends UnregisteredMetricsGroup {
    private final Map<String, Gauge<?>> gauges = new HashMap<>();

    @Override
    public <T, G extends Gauge<T>> G gauge(String name, G gauge) {
      assertTrue(gauges.put(name, gauge) == null, name + " registered twice");
      return gauge;
    }
  }

  @Test
  void everyFigureIsAGaugeOfItsLatestValue() {
    Group group = new Group();
    MetricGauges gauges = new MetricGauges(group);
    gauges.update(Map.of("loss", 2.0, "accuracy/all", 0.5));
    gauges.update(Map.of("loss", 1.0, "lr", 1e-5));
    assertEquals(1.0, group.gauges.get("loss").getValue());
    assertEquals(0.5, group.gauges.get("accuracy/all").getValue());
    assertEquals(1e-5, group.gauges.get("lr").getValue());
    assertEquals(3, group.gauges.size());
  }
}
