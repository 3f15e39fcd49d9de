package io.millrace.jobs.operator;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.PpoSection;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.rlhf.AdaptiveKl;
import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.ImportanceWeight;
import io.millrace.model.rlhf.KlController;
import io.millrace.model.rlhf.KlPenalty;
import io.millrace.model.rlhf.PiecewiseReward;
import io.millrace.model.rlhf.PpoObjective;
import io.millrace.model.tensor.Backend;
import io.millrace.model.train.LearningRate;
import io.millrace.model.train.PpoSettings;
import io.millrace.model.train.PpoTrainer;

/** What a configuration means for the PPO trainer. */
final class PpoTrainers {

  private PpoTrainers() {}

  /**
   * A critic before its first update: a reward model's trunk with a head of zeros. It is to predict
   * whitened rewards, whose mean is 0, and not scores: with the reward model's head it would begin
   * as far from all returns as the scores are, and the first advantages would be that error, which
   * throws a good policy back by many iterations.
   */
  static ScalarModel critic(Backend backend, CheckpointDirectory rewardModel) {
    ScalarModel critic = ModelWeights.rewardModel(backend, rewardModel);
    critic.resetHead();
    return critic;
  }

  /** A trainer of both models, which it closes with itself. */
  static PpoTrainer of(
      RuntimeSettings settings, Backend backend, LanguageModel policy, ScalarModel critic) {
    MillraceConfig config = settings.config();
    PpoSection section = config.ppo();
    policy.useMemory(settings.memory());
    critic.useMemory(settings.memory());
    return new PpoTrainer(
        backend,
        policy,
        critic,
        new PpoSettings(
            section.miniBatchSize(),
            section.epochs(),
            new PiecewiseReward(section.safetyThreshold()),
            new KlPenalty(section.klEstimator(), section.truncationPenalty()),
            new Advantages(section.gamma(), section.lambda()),
            new PpoObjective(section.clip(), section.valueClip()),
            section.decoupled() ? new ImportanceWeight(section.maxImportanceWeight()) : null,
            section.maxSkippedUpdates(),
            (float) config.rollout().temperature(),
            config.model().seed(),
            section.optimizer().adamW(),
            LearningRate.constant(section.learningRate()),
            LearningRate.constant(section.criticLearningRate())),
        section.klTarget() > 0
            ? KlController.adaptive(
                new AdaptiveKl.Settings(section.kl(), section.klTarget(), section.klHorizon()))
            : KlController.fixed(section.kl()));
  }
}
