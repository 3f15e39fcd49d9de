package io.millrace.jobs.rejection;

import io.millrace.model.rejection.RejectionMetrics;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Counts and metrics of the candidates since the last version. */
final class Collected {

  private final int samplesPerPrompt;
  private final RejectionMetrics rewards;
  private long prompts;
  private long truncated;
  private long empty;

  Collected(RejectionSamplingSection section) {
    this.samplesPerPrompt = section.samplesPerPrompt();
    this.rewards = new RejectionMetrics(samplesPerPrompt, section.temperatures());
  }

  void add(Candidates candidates) {
    prompts++;
    truncated += candidates.truncated();
    empty += candidates.empty();
    boolean[] usable = candidates.usable();
    if (usable == null) {
      usable = new boolean[candidates.rewards().length];
      Arrays.fill(usable, true);
    }
    rewards.add(candidates.rewards(), usable, candidates.isSafety());
  }

  long prompts() {
    return prompts;
  }

  Map<String, Double> metrics() {
    Map<String, Double> metrics = new HashMap<>(rewards.metrics());
    if (prompts > 0) {
      double responses = (double) prompts * samplesPerPrompt;
      metrics.put("rejection/truncated-share", truncated / responses);
      metrics.put("rejection/empty-share", empty / responses);
    }
    return metrics;
  }

  record State(long prompts, long truncated, long empty, RejectionMetrics.State rewards) {}

  State state() {
    return new State(prompts, truncated, empty, rewards.state());
  }

  void restore(State state) {
    prompts = state.prompts();
    truncated = state.truncated();
    empty = state.empty();
    rewards.restore(state.rewards());
  }
}
