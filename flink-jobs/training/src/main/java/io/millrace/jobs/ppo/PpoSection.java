package io.millrace.jobs.ppo;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.References;
import io.millrace.jobs.config.Require;
import io.millrace.jobs.rollout.RolloutDemand;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.jobs.safety.SafetyClassifiers;
import io.millrace.model.ppo.AdaptiveKl;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.EarlyStop;
import io.millrace.model.ppo.ImportanceWeight;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.ppo.KlPenalty;
import io.millrace.model.ppo.KlPlacement;
import io.millrace.model.ppo.LengthPenalty;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.RewardHackingMonitor;
import io.millrace.model.ppo.RewardWhitening;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.training.LearningRate;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * PPO with a KL penalty on the piecewise, whitened reward (Llama 2, section 3.2.3), with a critic
 * or with another {@link AdvantageMethod}.
 */
public record PpoSection(
    @Option(value = "512", help = "Rollouts of one iteration.", min = "2", max = "65536")
        int batchSize,
    @Option(
            value = "64",
            help = "Rollouts of one update; must divide `batch-size`.",
            min = "1",
            max = "65536")
        int miniBatchSize,
    @Option(value = "1", help = "Passes over each batch.", min = "1", max = "1000") int epochs,
    @Option(
            value = "1e-6",
            help = "Constant learning rate of the policy.",
            min = "1e-12",
            max = "1")
        double learningRate,
    @Option(
            value = "1e-6",
            help = "Constant learning rate of the critic.",
            min = "1e-12",
            max = "1")
        double criticLearningRate,
    @Option(
            value = "0.01",
            help = "β: weight of the KL penalty; the paper takes 0.005 for 34B and larger models.",
            min = "0",
            max = "1000")
        double kl,
    @Option(
            value = "0.0",
            help =
                "KL in nats per response towards which β adapts during training; 0 keeps β"
                    + " constant.",
            min = "0",
            max = "1e6")
        double klTarget,
    @Option(
            value = "10000",
            help = "Rollouts over which β adapts; more make it adapt more slowly.",
            min = "1",
            max = "1_000_000_000")
        long klHorizon,
    @Option(
            value = "reward",
            help =
                "Where the KL penalty is charged: `reward`, with every token's reward, or `loss`,"
                    + " as a term of the policy's loss.")
        KlPlacement klIn,
    @Option(
            value = "k1",
            help =
                "Estimator of the KL penalty. `k1` is for the reward. `k2` and `k3` are for the"
                    + " loss: `k2` has the gradient of KL(π_θ‖π_0), `k3` of KL(π_0‖π_θ).")
        KlEstimator klEstimator,
    @Option(
            value = "gae",
            help =
                "How advantages are estimated: `gae` with a critic; without one `rloo` (the other"
                    + " responses to the prompt are the baseline), `grpo` (mean and deviation of"
                    + " the responses to the prompt) or `reinforce++` (rewards to go, whitened over"
                    + " the batch). `rloo` and `grpo` need `rollout.samples-per-prompt` of at"
                    + " least 2.")
        AdvantageMethod advantage,
    @Option(value = "1.0", help = "γ: discount of `gae` and `reinforce++`.", min = "0", max = "1")
        double gamma,
    @Option(value = "0.95", help = "λ of generalised advantage estimation.", min = "0", max = "1")
        double lambda,
    @Option(
            value = "true",
            help =
                "Whether `grpo` divides by the deviation of a prompt's rewards; false is Dr. GRPO.")
        boolean groupDeviation,
    @Option(
            value = "256",
            help =
                "Most prompts whose responses wait for others, with `rloo` and `grpo`. Beyond it"
                    + " the oldest is learned from with the responses that it has; one response"
                    + " alone is dropped and counted.",
            min = "1",
            max = "1_000_000")
        int maxOpenGroups,
    @Option(
            value = "0.2",
            help = "Clip range of the probability ratio around 1.",
            above = "0",
            below = "1")
        double clip,
    @Option(
            value = "0.0",
            help = "Clip range above 1, such as 0.28 (DAPO); 0: `clip`.",
            min = "0",
            max = "1000")
        double clipHigh,
    @Option(
            value = "0.0",
            help =
                "Dual clip: highest ratio that counts where the advantage is negative, above 1,"
                    + " such as 3; 0: none.",
            min = "0",
            max = "1e6")
        double dualClip,
    @Option(
            value = "token",
            help =
                "Whose ratio is clipped: a `token`'s, or the `sequence`'s, the geometric mean over"
                    + " the response (GSPO, whose clip is some 3e-4).")
        PpoObjective.ClipLevel clipLevel,
    @Option(
            value = "tokens",
            help =
                "What the policy's loss is a mean over: all `tokens` of a mini-batch, or"
                    + " `responses`, each a mean over its own tokens (as in the papers of GRPO and"
                    + " GSPO).")
        PpoObjective.LossMean lossMean,
    @Option(
            value = "0.2",
            help = "Clip range of the critic's values around its earlier ones.",
            above = "0",
            max = "1e6")
        double valueClip,
    @Option(
            value = "0.15",
            help =
                "Safety probability below which the safety score replaces the helpfulness score of"
                    + " a response.",
            above = "0",
            below = "1")
        double safetyThreshold,
    @Option(
            value = "mean",
            help =
                "Score of a response by a reward model with several heads: their `mean`, or their"
                    + " lower confidence bound `lcb`, which needs `reward-model.heads` of at least"
                    + " 2.")
        EnsembleReward.Rule reward,
    @Option(
            value = "1.0",
            help = "With `reward: lcb`: how many standard deviations of the heads a score loses.",
            above = "0",
            max = "1000")
        double lcbCoefficient,
    @Option(
            value = "deciding-model",
            help =
                "Which rollouts of a batch are whitened together: `deciding-model` (safety prompts,"
                    + " and all others), `prompt` (responses to the same prompt; one alone earns 0)"
                    + " or `batch` (all, as in the paper).")
        RewardWhitening whitening,
    @Option(
            value = "",
            help =
                "Class that marks further prompts as safety prompts, an implementation of"
                    + " `io.millrace.jobs.safety.SafetyClassifier`; empty: only the prompt's own"
                    + " flag counts. `io.millrace.jobs.safety.KeywordSafetyClassifier` looks for"
                    + " the words of its option `keywords`.")
        String safetyClassifier,
    @Option(
            value = "",
            help =
                "Options of that class, such as `keywords: bomb, poison`. `${env:NAME}` and"
                    + " `${file:PATH}` work as in `kafka.properties`.")
        Map<String, String> safetyClassifierOptions,
    @Option(
            value = "1.0",
            help = "Penalty on the whitened reward of a response that was cut at the length limit.",
            min = "0",
            max = "1e6")
        double truncationPenalty,
    @Option(
            value = "0.0",
            help =
                "Penalty on the whitened reward for each token of a response beyond"
                    + " `length-penalty-from`; 0: none.",
            min = "0",
            max = "1e6")
        double lengthPenalty,
    @Option(
            value = "0",
            help = "Tokens of a response that `length-penalty` leaves free.",
            min = "0",
            max = "1_048_576")
        int lengthPenaltyFrom,
    @Option(
            value = "4",
            help =
                "Highest staleness of a rollout in policy versions; older rollouts are dropped and"
                    + " counted.",
            min = "0",
            max = "1_000_000_000")
        long maxStaleness,
    @Option(
            value = "true",
            help =
                "Decoupled PPO: clips rollouts of other weights or engines around the policy of"
                    + " this iteration and weights them by their importance.")
        boolean decoupled,
    @Option(
            value = "10.0",
            help = "Upper limit of a token's importance weight.",
            min = "1",
            max = "1e6")
        double maxImportanceWeight,
    @Option(
            value = "recompute",
            help =
                "Log-probs in rollouts of other engines: `recompute` computes them again with the"
                    + " weights of the version that sampled, and compares; `trust` does not."
                    + " `recompute` needs memory for one more policy in each scoring task, once"
                    + " such a rollout comes.")
        RolloutLogProbs rolloutLogProbs,
    @Option(
            value = "0.1",
            help =
                "Mean absolute difference, in nats per token, between recorded and recomputed"
                    + " log-probs above which a rollout of another engine is dropped and counted."
                    + " A batch whose samples show another temperature or top-p loses all of them."
                    + " 0 drops none.",
            min = "0",
            max = "1e6")
        double maxLogProbMismatch,
    @Option(
            value = "0.0",
            help = "Weight of the policy's mean entropy, which the loss then rewards; 0: none.",
            min = "0",
            max = "1000")
        double entropyBonus,
    @Option(
            value = "0.0",
            help =
                "KL to the proximal policy, in nats per token, above which an iteration leaves out"
                    + " its remaining updates; 0 never does.",
            min = "0",
            max = "1000")
        double maxUpdateKl,
    @Option(
            value = "0",
            help = "First iterations that update only the critic.",
            min = "0",
            max = "1_000_000")
        long criticWarmup,
    @Option(
            value = "8",
            help =
                "Updates in a row with a gradient that is not finite after which the job stops;"
                    + " until then it skips them.",
            min = "1",
            max = "1_000_000")
        int maxSkippedUpdates,
    @Option(
            value = "0.0",
            help =
                "Share of the dialogues, chosen by the text of their first user turn, that no job"
                    + " learns from: `ppo` scores their rollouts, `reward-model` their judgments.",
            min = "0",
            max = "0.5")
        double heldOutShare,
    @Option(
            value = "0",
            help =
                "Evaluations without a better mean score of the held-out rollouts after which"
                    + " learning stops; 0 never stops. An evaluation is an iteration with at least"
                    + " 16 new held-out scores.",
            min = "0",
            max = "1_000_000")
        int earlyStopPatience,
    @Option(
            value = "30.0",
            help =
                "KL to the reference policy, in nats per response, above which an alarm is raised.",
            above = "0",
            max = "1e9")
        double alarmKl,
    @Option(
            value = "0.1",
            help =
                "An alarm is raised above this mean difference, in nats per token, between the"
                    + " log-probs in a rollout and the log-probs that its policy version gives the"
                    + " same tokens. Four rollouts of a batch are compared.",
            above = "0",
            max = "1e6")
        double alarmLogProbDifference,
    @Option(
            value = "1",
            help = "Iterations between two published policies.",
            min = "1",
            max = "1_000_000_000")
        long publishEvery,
    @Option(
            value = "64",
            help = "Rollouts scored together; at most `batch-size`.",
            min = "1",
            max = "65536")
        int scoreBatchSize,
    @Option(
            value = "0ms",
            help =
                "Time after which an incomplete batch is scored; 0ms waits forever for a full one,"
                    + " and keeps a run reproducible bit for bit where scores depend on the batch"
                    + " (`nd4j`, `torch`).",
            min = "0ms",
            max = "1d")
        Duration scoreMaxWait,
    @Option(
            value = "1",
            help =
                "Subtasks that learn from each batch together (data parallel): each has the models"
                    + " and takes a share of every mini-batch; at most `mini-batch-size`. Each"
                    + " needs a slot.",
            min = "1",
            max = "64")
        int updaters,
    @Option(
            value = "false",
            help =
                "Whether each of several updaters has the optimizer's moments of a part of the"
                    + " weights (ZeRO stage 1) in place of all. The weights are the same bits.")
        boolean shardOptimizer,
    @Option(
            value = "10m",
            help =
                "Longest wait of an updater for another one, to connect or to finish its share."
                    + " One that is gone is noticed at once.",
            min = "1s",
            max = "1d")
        Duration updaterTimeout,
    @Option(
            value = "true",
            help =
                "Sends rollouts that were sampled with top-p below 1 to `dead-letters`; PPO needs"
                    + " log-probabilities of the whole distribution.")
        boolean requireFullSampling,
    @Option(
            value = "true",
            help =
                "Sends rollouts to `dead-letters` that this policy cannot have sampled: of a"
                    + " version that does not exist, without the token that ends a response, with"
                    + " special tokens inside it, or with texts that are not those of the tokens."
                    + " Set it to false for a sampler with a chat template of its own.")
        boolean requireConsistent,
    OptimizerSection optimizer)
    implements ConfigSection, RolloutDemand {

  public PpoSection {
    if (batchSize % miniBatchSize != 0) {
      throw new IllegalArgumentException(
          "mini-batch-size must divide batch-size %d, not %d".formatted(batchSize, miniBatchSize));
    }
    safetyClassifierOptions = Map.copyOf(safetyClassifierOptions);
    if (safetyClassifier.isBlank() && !safetyClassifierOptions.isEmpty()) {
      throw new IllegalArgumentException(
          "safety-classifier-options need a safety-classifier; name the class or remove them");
    }
    Require.accepted("safety-threshold", () -> new PiecewiseReward(safetyThreshold));
    requirePlacement(klEstimator, klIn);
    Require.accepted(
        "truncation-penalty", () -> new KlPenalty(klEstimator, klIn, truncationPenalty));
    Require.accepted(
        "gamma and lambda", () -> new Advantages(advantage, gamma, lambda, groupDeviation));
    MethodCheck.dualClip(dualClip);
    Require.accepted(
        "clip, clip-high and value-clip",
        () -> objective(clip, clipHigh, dualClip, clipLevel, lossMean, valueClip));
    MethodCheck.check(
        advantage,
        new MethodCheck.Options(kl, klIn, gamma, groupDeviation, whitening, criticWarmup));
    Require.accepted("max-importance-weight", () -> new ImportanceWeight(maxImportanceWeight));
    Require.accepted("learning-rate", () -> LearningRate.constant(learningRate));
    Require.accepted("critic-learning-rate", () -> LearningRate.constant(criticLearningRate));
    Require.accepted("alarm-kl", () -> new RewardHackingMonitor(alarmKl));
    if (kl == 0 && klTarget > 0) {
      throw new IllegalArgumentException(
          "kl must be above 0 with kl-target %s, not 0: β adapts by factors".formatted(klTarget));
    }
    Require.accepted("kl, kl-target and kl-horizon", () -> klController(kl, klTarget, klHorizon));
    if (maxUpdateKl > 0 && epochs == 1 && miniBatchSize == batchSize) {
      throw new IllegalArgumentException(
          ("max-update-kl must be 0 with a single update of an iteration, not %s: no updates remain"
                  + " to leave out. Lower mini-batch-size %d below batch-size, or raise epochs")
              .formatted(maxUpdateKl, miniBatchSize));
    }
    if (lengthPenaltyFrom > 0 && lengthPenalty == 0) {
      throw new IllegalArgumentException(
          "length-penalty-from %d needs a length-penalty above 0, not 0"
              .formatted(lengthPenaltyFrom));
    }
    if (earlyStopPatience > 0 && heldOutShare == 0) {
      throw new IllegalArgumentException(
          "early-stop-patience %d needs a held-out-share above 0, not 0"
              .formatted(earlyStopPatience));
    }
    UpdaterCheck.check(updaters, miniBatchSize, shardOptimizer);
    if (scoreBatchSize > batchSize) {
      throw new IllegalArgumentException(
          "score-batch-size must be at most batch-size %d, not %d"
              .formatted(batchSize, scoreBatchSize));
    }
  }

  private static void requirePlacement(KlEstimator estimator, KlPlacement placement) {
    if (estimator.isFor(placement)) {
      return;
    }
    throw new IllegalArgumentException(
        placement == KlPlacement.REWARD
            ? ("kl-estimator must be k1 with kl-in reward, not %s: in the reward its gradient is"
                    + " not that of the KL. Set kl-in to loss to keep it, or kl-estimator to k1")
                .formatted(estimator.name().toLowerCase(Locale.ROOT))
            : "kl-estimator must be k2 or k3 with kl-in loss, not k1: in the loss its mean gradient"
                + " is 0. Set kl-estimator to k2, or kl-in to reward");
  }

  @Override
  public void check(MillraceConfig config) {
    if (!config.sections().containsKey(RolloutSection.class)) {
      return;
    }
    int samples = config.section(RolloutSection.class).samplesPerPrompt();
    MethodCheck.groups(advantage, samples, batchSize);
    if (whitening == RewardWhitening.PROMPT && samples == 1) {
      throw new IllegalArgumentException(
          "rollout.samples-per-prompt must be at least 2 with ppo.whitening prompt, not 1: a"
              + " response alone earns 0. Sample more, or set ppo.whitening to deciding-model");
    }
    double topP = config.section(RolloutSection.class).topP();
    if (topP < 1 && requireFullSampling) {
      throw new IllegalArgumentException(
          ("rollout.top-p must be 1 for PPO, not %s: PPO needs log-probabilities of the whole"
                  + " distribution. To sample without PPO, set ppo.require-full-sampling to false")
              .formatted(topP));
    }
  }

  @Override
  public String learner() {
    return PpoOperator.JOB;
  }

  /** Held-out rollouts are consumed too. */
  @Override
  public double rolloutsPerVersion() {
    return (double) batchSize * publishEvery / (1 - heldOutShare);
  }

  /** The rule that combines the scores of the two reward models. */
  public PiecewiseReward piecewiseReward() {
    return new PiecewiseReward(safetyThreshold);
  }

  /**
   * Makes the classifier of safety prompts.
   *
   * @throws IllegalArgumentException if the class or its options cannot be used
   */
  public SafetyClassifier classifier() {
    return SafetyClassifiers.of(safetyClassifier, References.resolve(safetyClassifierOptions));
  }

  /** What a response earns for uncertain scores. */
  public EnsembleReward ensembleReward() {
    return reward == EnsembleReward.Rule.LCB
        ? new EnsembleReward(lcbCoefficient)
        : EnsembleReward.MEAN;
  }

  LengthPenalty lengthPenaltyRule() {
    return new LengthPenalty(lengthPenalty, lengthPenaltyFrom);
  }

  KlPenalty klPenalty() {
    return new KlPenalty(klEstimator, klIn, truncationPenalty);
  }

  Advantages advantages() {
    return new Advantages(advantage, gamma, lambda, groupDeviation);
  }

  /** The clips, and what the loss is a mean over. */
  public PpoObjective objective() {
    return objective(clip, clipHigh, dualClip, clipLevel, lossMean, valueClip);
  }

  private static PpoObjective objective(
      double clip,
      double clipHigh,
      double dualClip,
      PpoObjective.ClipLevel level,
      PpoObjective.LossMean mean,
      double valueClip) {
    return new PpoObjective(
        clip,
        clipHigh > 0 ? clipHigh : clip,
        dualClip > 0 ? dualClip : Double.POSITIVE_INFINITY,
        level,
        mean,
        valueClip);
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
