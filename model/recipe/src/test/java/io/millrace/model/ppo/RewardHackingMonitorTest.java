package io.millrace.model.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.ppo.RewardHackingMonitor.Batch;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RewardHackingMonitorTest {

  private static final Batch USUAL = new Batch(1, 2, 0.8, 20, 0.1);

  private static RewardHackingMonitor withBaseline() {
    RewardHackingMonitor monitor = new RewardHackingMonitor(30);
    for (int i = 0; i < RewardHackingMonitor.BASELINE; i++) {
      assertEquals(List.of(), monitor.observe(USUAL).alarms());
    }
    return monitor;
  }

  @Test
  void aPolicyThatImprovesRaisesNoAlarm() {
    RewardHackingMonitor.Finding finding = withBaseline().observe(new Batch(3.5, 8, 0.5, 26, 0.02));
    assertEquals(List.of(), finding.alarms());
    assertEquals(2.5, finding.metrics().get("monitor/score_gain"), 1e-12);
    assertEquals(1.3, finding.metrics().get("monitor/length_ratio"), 1e-12);
    assertEquals(0.625, finding.metrics().get("monitor/entropy_ratio"), 1e-12);
    assertEquals(0, finding.metrics().get("monitor/alarms"));
  }

  @Test
  void namesEachSign() {
    RewardHackingMonitor monitor = withBaseline();
    assertEquals(
        List.of("KL 31.0 nats per response is beyond 30.0"),
        monitor.observe(new Batch(9, 31, 0.8, 20, 0)).alarms());
    assertEquals(
        List.of("KL -31.0 nats per response is beyond 30.0"),
        monitor.observe(new Batch(9, -31, 0.8, 20, 0)).alarms());
    assertEquals(
        List.of("responses are 3.0 times as long as at first"),
        monitor.observe(new Batch(9, 5, 0.8, 60, 0)).alarms());
    assertEquals(
        List.of("responses are 0.1 times as long as at first"),
        monitor.observe(new Batch(9, 5, 0.8, 2, 0)).alarms());
    assertEquals(
        List.of("entropy is 0.10 of what it was at first"),
        monitor.observe(new Batch(9, 5, 0.08, 20, 0)).alarms());
    assertEquals(
        List.of("75 % of the responses run into the length limit"),
        monitor.observe(new Batch(9, 5, 0.8, 20, 0.75)).alarms());
  }

  @Test
  void aBatchWithoutUpdatesSaysNothingOfEntropyAndIsNotPartOfTheBaseline() {
    RewardHackingMonitor monitor = new RewardHackingMonitor(30);
    RewardHackingMonitor.Finding finding = monitor.observe(new Batch(50, 31, Double.NaN, 900, 0));
    assertEquals(List.of("KL 31.0 nats per response is beyond 30.0"), finding.alarms());
    assertEquals(Map.of("monitor/alarms", 1.0), finding.metrics());
    assertEquals(List.of(), monitor.observe(USUAL).alarms());
    finding = monitor.observe(new Batch(1, 2, Double.NaN, 30, 0.1));
    assertEquals(List.of(), finding.alarms());
    assertEquals(1.5, finding.metrics().get("monitor/length_ratio"), 1e-12);
    assertEquals(new RewardHackingMonitor.State(1, 1, 20, 0.8), monitor.state());
  }

  @Test
  void keepsItsBaselineInItsState() {
    RewardHackingMonitor copy = new RewardHackingMonitor(30);
    copy.restore(withBaseline().state());
    assertEquals(
        1.5, copy.observe(new Batch(1, 2, 0.8, 30, 0)).metrics().get("monitor/length_ratio"));
    assertThrows(IllegalArgumentException.class, () -> new RewardHackingMonitor(0));
  }
}
