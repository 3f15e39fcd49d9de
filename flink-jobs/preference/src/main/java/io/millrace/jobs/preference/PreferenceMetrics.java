package io.millrace.jobs.preference;

import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.PreferenceTrainer.Pair;
import io.millrace.model.preference.PreferenceTrainer.Step;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Metrics of a batch, as before its update, by the names of TRL. An implicit reward is β·log(π/π_0)
 * of a response. All are means; one without a value is left out.
 */
final class PreferenceMetrics {

  private final double beta;
  private final List<Double> chosenRewards = new ArrayList<>();
  private final List<Double> rejectedRewards = new ArrayList<>();
  private final List<Double> chosenLogProbs = new ArrayList<>();
  private final List<Double> rejectedLogProbs = new ArrayList<>();

  /** Log-ratios of responses that versions of the policy sampled. */
  private final List<Double> ofPolicies = new ArrayList<>();

  private final Map<String, Double> metrics = new HashMap<>();

  private PreferenceMetrics(double beta) {
    this.beta = beta;
  }

  static Map<String, Double> of(List<Example> batch, Step step, PreferenceSection section) {
    PreferenceMetrics all = new PreferenceMetrics(section.beta());
    if (section.loss().isOfPairs()) {
      all.addPairs(batch, step.logProbs());
    } else {
      all.addLabels(batch, step.logProbs());
      all.metrics.put("kl", step.referencePoint());
    }
    return all.finish();
  }

  private void addPairs(List<Example> batch, double[] logProbs) {
    double right = 0;
    for (int i = 0; i < batch.size(); i++) {
      Example example = batch.get(i);
      Pair pair = example.pair();
      double chosen = logProbs[2 * i] - pair.chosenReference();
      double rejected = logProbs[2 * i + 1] - pair.rejectedReference();
      add(true, logProbs[2 * i], chosen, example.versions()[0]);
      add(false, logProbs[2 * i + 1], rejected, example.versions()[1]);
      right += chosen > rejected ? 1 : chosen == rejected ? 0.5 : 0;
    }
    metrics.put("rewards/accuracies", right / batch.size());
  }

  private void addLabels(List<Example> batch, double[] logProbs) {
    for (int i = 0; i < batch.size(); i++) {
      Label label = batch.get(i).label();
      add(
          label.desirable(),
          logProbs[i],
          logProbs[i] - label.reference(),
          batch.get(i).versions()[0]);
    }
    metrics.put("labels/desirable", (double) chosenRewards.size() / batch.size());
  }

  private void add(boolean chosen, double logProb, double logRatio, long version) {
    (chosen ? chosenRewards : rejectedRewards).add(beta * logRatio);
    (chosen ? chosenLogProbs : rejectedLogProbs).add(logProb);
    if (version != Example.UNKNOWN) {
      ofPolicies.add(logRatio);
    }
  }

  private Map<String, Double> finish() {
    metrics.put("rewards/chosen", mean(chosenRewards));
    metrics.put("rewards/rejected", mean(rejectedRewards));
    metrics.put("rewards/margins", mean(chosenRewards) - mean(rejectedRewards));
    metrics.put("logps/chosen", mean(chosenLogProbs));
    metrics.put("logps/rejected", mean(rejectedLogProbs));
    metrics.put("objective/kl", mean(ofPolicies));
    metrics.values().removeIf(value -> !Double.isFinite(value));
    return metrics;
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(value -> value).average().orElse(Double.NaN);
  }
}
