package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.Test;

class MetricGaugesTest {

  /** Keeps what is registered; a name registered twice is an error in Flink too. */
  private static final class Group extends UnregisteredMetricsGroup {
    private final Map<String, Gauge<?>> gauges;
    private final String labels;

    Group(Map<String, Gauge<?>> gauges, String labels) {
      this.gauges = gauges;
      this.labels = labels;
    }

    @Override
    public MetricGroup addGroup(String key, String value) {
      return new Group(gauges, labels + " " + key + "=" + value);
    }

    @Override
    public <T, G extends Gauge<T>> G gauge(String name, G gauge) {
      assertNull(gauges.put(name + labels, gauge), name + labels + " registered twice");
      return gauge;
    }
  }

  private final Map<String, Gauge<?>> registered = new TreeMap<>();
  private final MetricGauges gauges = new MetricGauges(new Group(registered, ""));

  @Test
  void everyMetricIsAGaugeOfItsLatestValue() {
    gauges.update(Map.of("loss", 2.0, "accuracy/all", 0.5));
    gauges.update(Map.of("loss", 1.0, "lr", 1e-5));
    assertEquals(1.0, registered.get("loss").getValue());
    assertEquals(0.5, registered.get("accuracy rating=all").getValue());
    assertEquals(1e-5, registered.get("lr").getValue());
    assertEquals(3, registered.size());
  }

  @Test
  void aGaugeOfTheOperatorItselfIsNotOverwrittenByAMetric() {
    AtomicLong version = new AtomicLong(3);
    gauges.register("version", version::get);
    gauges.update(Map.of("version", 7.0));
    assertEquals(3L, registered.get("version").getValue());
    version.set(4);
    assertEquals(4L, registered.get("version").getValue());
    assertEquals(1, registered.size());
  }

  /** The forms of all values in names of metrics. */
  @Test
  void aValueInAMetricsNameBecomesALabel() {
    Map.ofEntries(
            Map.entry("accuracy/SLIGHTLY_BETTER", "accuracy rating=SLIGHTLY_BETTER"),
            Map.entry("margin/all", "margin rating=all"),
            Map.entry("calibration/bin3/accuracy", "calibration_accuracy bin=3"),
            Map.entry("calibration/ece", "calibration_ece"),
            Map.entry(
                "reward_model/safety/accuracy/all",
                "reward_model_accuracy objective=safety rating=all"),
            Map.entry(
                "reward_model/helpfulness/calibration/bin0/judgments",
                "reward_model_calibration_judgments objective=helpfulness bin=0"),
            Map.entry("reward_model/safety/version", "reward_model_version objective=safety"),
            Map.entry("rejection/all/max/k=12", "rejection_max objective=all k=12"),
            Map.entry("rejection/safety/mean", "rejection_mean objective=safety"),
            Map.entry(
                "rejection/safety/temperature/0.5/max/k=2",
                "rejection_max objective=safety temperature=0.5 k=2"),
            Map.entry(
                "rejection/helpfulness-version",
                "rejection_reward_model_version objective=helpfulness"),
            Map.entry(
                "rejection/safety/best-temperature", "rejection_best_temperature objective=safety"),
            Map.entry("score/combined/stderr", "score_stderr objective=combined"),
            Map.entry("win_rate/promoted/low", "win_rate_low against=promoted"),
            Map.entry("dropped/stale", "dropped reason=stale"),
            Map.entry("stream/policy_lag_versions", "stream_policy_lag_versions"),
            Map.entry("after-stop", "after_stop"))
        .forEach(
            (metric, expected) -> {
              registered.clear();
              new MetricGauges(new Group(registered, "")).update(Map.of(metric, 1.0));
              assertEquals(expected, String.join(", ", registered.keySet()), metric);
            });
  }
}
