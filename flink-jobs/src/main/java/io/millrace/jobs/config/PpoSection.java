package io.millrace.jobs.config;

import io.millrace.model.rlhf.KlEstimator;
import java.io.Serializable;
import java.util.Map;

/** PPO with a KL penalty on the piecewise, whitened reward (Llama 2, section 3.2.3). */
public record PpoSection(
    @Option(value = "512", help = "Rollouts of one iteration.") int batchSize,
    @Option(value = "64", help = "Rollouts of one update.") int miniBatchSize,
    @Option(value = "1", help = "Passes over a batch.") int epochs,
    @Option(value = "1e-6", help = "The policy's learning rate, constant.") double learningRate,
    @Option(value = "1e-6", help = "The critic's learning rate, constant.")
        double criticLearningRate,
    @Option(value = "0.01", help = "β: weight of the KL penalty (0.005 from 34B).") double kl,
    @Option(value = "0.0", help = "Adapts β so that the KL stays near this; 0 keeps β fixed.")
        double klTarget,
    @Option(value = "10000", help = "Rollouts over which an adaptive β moves.") long klHorizon,
    @Option(value = "k1", help = "KL estimator in the reward.") KlEstimator klEstimator,
    @Option(value = "1.0", help = "γ: discount.") double gamma,
    @Option(value = "0.95", help = "λ of generalised advantage estimation.") double lambda,
    @Option(value = "0.2", help = "Clip range of the ratio.") double clip,
    @Option(value = "0.2", help = "Clip range of the critic's values.") double valueClip,
    @Option(value = "0.15", help = "A response whose R_s is below this is judged by safety.")
        double safetyThreshold,
    @Option(
            value = "",
            help =
                "Class that tells safety prompts beside those that are flagged so, an"
                    + " `io.millrace.jobs.safety.SafetyClassifier`; empty: the flag alone counts."
                    + " `io.millrace.jobs.safety.KeywordSafetyClassifier` goes by the words of its"
                    + " option `keywords`.")
        String safetyClassifier,
    @Option(
            value = "",
            help =
                "What that class is given, such as `keywords: bomb, poison`; `${env:NAME}` and"
                    + " `${file:PATH}` as in kafka.properties.")
        Map<String, String> safetyClassifierOptions,
    @Option(
            value = "1.0",
            help = "Subtracted from the reward of a response cut at the length limit.")
        double truncationPenalty,
    @Option(
            value = "4",
            help = "Rollouts that are more versions old than this are dropped and counted.")
        long maxStaleness,
    @Option(
            value = "true",
            help =
                "Decoupled PPO: stale rollouts are clipped around today's policy and weighted, not"
                    + " only bounded.")
        boolean decoupled,
    @Option(value = "10.0", help = "A stale token's importance weight is truncated to this.")
        double maxImportanceWeight,
    @Option(
            value = "8",
            help = "Updates in a row that may be left out, not being finite, before the job stops.")
        int maxSkippedUpdates,
    @Option(
            value = "0.0",
            help =
                "Share of the prompts, chosen by their ids, whose rollouts are scored and never"
                    + " learned from.")
        double heldOutShare,
    @Option(
            value = "0",
            help =
                "Learning stops after this many iterations without a better mean score of the"
                    + " held-out rollouts; 0 never.")
        int earlyStopPatience,
    @Option(
            value = "30.0",
            help = "A KL to the reference beyond this, in nats per response, raises an alarm.")
        double alarmKl,
    @Option(value = "1", help = "A policy is published after this many iterations.")
        long publishEvery,
    @Option(value = "64", help = "Rollouts scored together.") int scoreBatchSize,
    @Option(value = "true", help = "Refuse rollouts that were sampled with top-p below 1.")
        boolean requireFullSampling,
    @Option(
            value = "0",
            help = "Fails the job once when this rollout passes, to watch it recover; 0 never.")
        long failAtRollout,
    OptimizerSection optimizer)
    implements Serializable {

  public PpoSection {
    Require.atLeast("batch-size", batchSize, 2);
    Require.atLeast("mini-batch-size", miniBatchSize, 1);
    if (batchSize % miniBatchSize != 0) {
      throw new IllegalArgumentException(
          "mini-batch-size %d must divide batch-size %d".formatted(miniBatchSize, batchSize));
    }
    Require.atLeast("epochs", epochs, 1);
    Require.positive("learning-rate", learningRate);
    Require.positive("critic-learning-rate", criticLearningRate);
    Require.between("kl", kl, 0, Double.MAX_VALUE);
    Require.between("kl-target", klTarget, 0, Double.MAX_VALUE);
    Require.atLeast("kl-horizon", klHorizon, 1);
    Require.between("gamma", gamma, 0, 1);
    Require.between("lambda", lambda, 0, 1);
    Require.positive("clip", clip);
    Require.positive("value-clip", valueClip);
    Require.between("safety-threshold", safetyThreshold, 0, 1);
    safetyClassifierOptions = Map.copyOf(safetyClassifierOptions);
    if (safetyClassifier.isBlank() && !safetyClassifierOptions.isEmpty()) {
      throw new IllegalArgumentException(
          "safety-classifier-options are given without a safety-classifier");
    }
    Require.between("truncation-penalty", truncationPenalty, 0, Double.MAX_VALUE);
    Require.atLeast("max-staleness", maxStaleness, 0);
    Require.between("max-importance-weight", maxImportanceWeight, 1, Double.MAX_VALUE);
    Require.atLeast("max-skipped-updates", maxSkippedUpdates, 1);
    Require.between("held-out-share", heldOutShare, 0, 0.5);
    Require.atLeast("early-stop-patience", earlyStopPatience, 0);
    if (earlyStopPatience > 0 && heldOutShare == 0) {
      throw new IllegalArgumentException(
          "early-stop-patience %d needs a held-out-share above 0".formatted(earlyStopPatience));
    }
    Require.positive("alarm-kl", alarmKl);
    Require.atLeast("publish-every", publishEvery, 1);
    Require.atLeast("score-batch-size", scoreBatchSize, 1);
    if (scoreBatchSize > batchSize) {
      throw new IllegalArgumentException(
          "score-batch-size %d must not exceed batch-size %d".formatted(scoreBatchSize, batchSize));
    }
    Require.atLeast("fail-at-rollout", failAtRollout, 0);
  }
}
