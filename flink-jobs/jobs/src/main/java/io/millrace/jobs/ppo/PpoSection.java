package io.millrace.jobs.ppo;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.jobs.safety.SafetyClassifiers;
import io.millrace.model.ppo.AdaptiveKl;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.EarlyStop;
import io.millrace.model.ppo.ImportanceWeight;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.ppo.KlPenalty;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.RewardHackingMonitor;
import io.millrace.model.reward.PiecewiseReward;
import java.util.Map;
import java.util.Optional;

/** PPO with a KL penalty on the piecewise, whitened reward (Llama 2, section 3.2.3). */
public record PpoSection(
    @Option(value = "512", help = "Rollouts of one iteration.", min = "2") int batchSize,
    @Option(value = "64", help = "Rollouts of one update.", min = "1") int miniBatchSize,
    @Option(value = "1", help = "Passes over a batch.", min = "1") int epochs,
    @Option(value = "1e-6", help = "The policy's learning rate, constant.", above = "0")
        double learningRate,
    @Option(value = "1e-6", help = "The critic's learning rate, constant.", above = "0")
        double criticLearningRate,
    @Option(value = "0.01", help = "β: weight of the KL penalty (0.005 from 34B).", min = "0")
        double kl,
    @Option(
            value = "0.0",
            help = "Adapts β so that the KL stays near this; 0 keeps β fixed.",
            min = "0")
        double klTarget,
    @Option(value = "10000", help = "Rollouts over which an adaptive β moves.", min = "1")
        long klHorizon,
    @Option(value = "k1", help = "KL estimator in the reward.") KlEstimator klEstimator,
    @Option(value = "1.0", help = "γ: discount.", min = "0", max = "1") double gamma,
    @Option(value = "0.95", help = "λ of generalised advantage estimation.", min = "0", max = "1")
        double lambda,
    @Option(value = "0.2", help = "Clip range of the ratio.", above = "0", below = "1") double clip,
    @Option(value = "0.2", help = "Clip range of the critic's values.", above = "0")
        double valueClip,
    @Option(
            value = "0.15",
            help = "A response whose R_s is below this is judged by safety.",
            above = "0",
            below = "1")
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
            help = "Subtracted from the reward of a response cut at the length limit.",
            min = "0",
            max = "1000000")
        double truncationPenalty,
    @Option(
            value = "4",
            help = "Rollouts that are more versions old than this are dropped and counted.",
            min = "0")
        long maxStaleness,
    @Option(
            value = "true",
            help =
                "Decoupled PPO: stale rollouts are clipped around today's policy and weighted, not"
                    + " only bounded.")
        boolean decoupled,
    @Option(
            value = "10.0",
            help = "A stale token's importance weight is truncated to this.",
            min = "1")
        double maxImportanceWeight,
    @Option(
            value = "8",
            help = "Updates in a row that may be left out, not being finite, before the job stops.",
            min = "1")
        int maxSkippedUpdates,
    @Option(
            value = "0.0",
            help =
                "Share of the prompts, chosen by their ids, whose rollouts are scored and never"
                    + " learned from.",
            min = "0",
            max = "0.5")
        double heldOutShare,
    @Option(
            value = "0",
            help =
                "Learning stops after this many iterations without a better mean score of the"
                    + " held-out rollouts; 0 never.",
            min = "0")
        int earlyStopPatience,
    @Option(
            value = "30.0",
            help = "A KL to the reference beyond this, in nats per response, raises an alarm.",
            above = "0")
        double alarmKl,
    @Option(value = "1", help = "A policy is published after this many iterations.", min = "1")
        long publishEvery,
    @Option(value = "64", help = "Rollouts scored together.", min = "1") int scoreBatchSize,
    @Option(value = "true", help = "Refuse rollouts that were sampled with top-p below 1.")
        boolean requireFullSampling,
    OptimizerSection optimizer)
    implements ConfigSection {

  public PpoSection {
    if (batchSize % miniBatchSize != 0) {
      throw new IllegalArgumentException(
          "mini-batch-size %d must divide batch-size %d".formatted(miniBatchSize, batchSize));
    }
    safetyClassifierOptions = Map.copyOf(safetyClassifierOptions);
    if (safetyClassifier.isBlank() && !safetyClassifierOptions.isEmpty()) {
      throw new IllegalArgumentException(
          "safety-classifier-options are given without a safety-classifier");
    }
    Require.accepted("safety-threshold", () -> new PiecewiseReward(safetyThreshold));
    Require.accepted("truncation-penalty", () -> new KlPenalty(klEstimator, truncationPenalty));
    Require.accepted("gamma and lambda", () -> new Advantages(gamma, lambda));
    Require.accepted("clip and value-clip", () -> new PpoObjective(clip, valueClip));
    Require.accepted("max-importance-weight", () -> new ImportanceWeight(maxImportanceWeight));
    Require.accepted("kl and kl-target", () -> klController(kl, klTarget, klHorizon));
    if (earlyStopPatience > 0 && heldOutShare == 0) {
      throw new IllegalArgumentException(
          "early-stop-patience %d needs a held-out-share above 0".formatted(earlyStopPatience));
    }
    if (scoreBatchSize > batchSize) {
      throw new IllegalArgumentException(
          "score-batch-size %d must not exceed batch-size %d".formatted(scoreBatchSize, batchSize));
    }
  }

  @Override
  public void check(MillraceConfig config) {
    // A rollout's log-probs are those of the distribution it was sampled from; PPO's ratio compares
    // them with the whole distribution's.
    double topP = config.section(RolloutSection.class).topP();
    if (topP < 1 && requireFullSampling) {
      throw new IllegalArgumentException(
          ("rollout.top-p must be 1 for PPO, not %s: log-probs of a truncated distribution are not"
                  + " the policy's (to sample without PPO, set ppo.require-full-sampling: false)")
              .formatted(topP));
    }
  }

  /** The rule that joins the two reward models' scores. */
  public PiecewiseReward piecewiseReward() {
    return new PiecewiseReward(safetyThreshold);
  }

  /** The classifier of safety prompts. */
  public SafetyClassifier classifier() {
    return SafetyClassifiers.of(safetyClassifier, safetyClassifierOptions);
  }

  KlPenalty klPenalty() {
    return new KlPenalty(klEstimator, truncationPenalty);
  }

  Advantages advantages() {
    return new Advantages(gamma, lambda);
  }

  PpoObjective objective() {
    return new PpoObjective(clip, valueClip);
  }

  Optional<ImportanceWeight> importanceWeight() {
    return decoupled ? Optional.of(new ImportanceWeight(maxImportanceWeight)) : Optional.empty();
  }

  EarlyStop earlyStop() {
    return new EarlyStop(
        new EarlyStop.Settings(earlyStopPatience, EarlyStop.Settings.DEFAULT_MINIMUM_SAMPLES));
  }

  RewardHackingMonitor monitor() {
    return new RewardHackingMonitor(alarmKl);
  }

  KlController klController() {
    return klController(kl, klTarget, klHorizon);
  }

  private static KlController klController(double kl, double target, long horizon) {
    return target > 0
        ? KlController.adaptive(new AdaptiveKl.Settings(kl, target, horizon))
        : KlController.fixed(kl);
  }
}
