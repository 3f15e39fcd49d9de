package io.millrace.jobs.rejection;

import io.millrace.model.rejection.RejectionMetrics;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/** Counts and metrics of the candidates since the last version. */
final class Collected {

  private final int samplesPerPrompt;
  private final RejectionMetrics rewards;
  private long prompts;
  private long truncated;
  private long empty;
  private Guided guided = new Guided(0, 0, 0, 0, 0, 0);

  /**
   * Sums over safety prompts with responses under {@code preprompts}.
   *
   * @param tooLong responses that were not sampled, because the prompt is too long with the message
   * @param won prompts whose best response is one of these
   * @param compared prompts with a gain
   */
  record Guided(long prompts, long responses, long tooLong, long won, long compared, double gain) {
    Guided plus(GuidedResponses one) {
      return new Guided(
          prompts + 1,
          responses + one.responses(),
          tooLong + one.tooLong(),
          won + (one.won() ? 1 : 0),
          compared + (one.compared() ? 1 : 0),
          gain + one.gain());
    }

    void addTo(Map<String, Double> metrics) {
      if (prompts == 0) {
        return;
      }
      metrics.put("rejection/guided-prompts", (double) prompts);
      metrics.put("rejection/guided-responses", (double) responses);
      metrics.put("rejection/guided-too-long", (double) tooLong);
      metrics.put("rejection/guided-won-share", (double) won / prompts);
      if (compared > 0) {
        metrics.put("rejection/guided-gain", gain / compared);
      }
    }
  }

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
    if (candidates.guided() != null) {
      guided = guided.plus(candidates.guided());
    }
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
    guided.addTo(metrics);
    return metrics;
  }

  /**
   * @param guided null in states of earlier builds
   */
  record State(
      long prompts,
      long truncated,
      long empty,
      RejectionMetrics.State rewards,
      @Nullable @AvroDefault("null") Guided guided) {}

  State state() {
    return new State(prompts, truncated, empty, rewards.state(), guided);
  }

  void restore(State state) {
    prompts = state.prompts();
    truncated = state.truncated();
    empty = state.empty();
    rewards.restore(state.rewards());
    if (state.guided() != null) {
      guided = state.guided();
    }
  }
}
