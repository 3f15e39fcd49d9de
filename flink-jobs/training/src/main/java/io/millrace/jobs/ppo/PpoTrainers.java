package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.BaseModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import java.io.IOException;

/** What a configuration means for the PPO trainer. */
public final class PpoTrainers {

  private PpoTrainers() {}

  /**
   * A critic before its first update: a reward model's trunk with a head of zeros. It is to predict
   * whitened rewards, whose mean is 0, and not scores: with the reward model's head it would begin
   * as far from all returns as the scores are, and the first advantages would be that error, which
   * throws a good policy back by many iterations.
   */
  public static ScalarModel critic(
      Backend backend, CheckpointCache checkpoints, CheckpointDirectory rewardModel)
      throws IOException {
    ScalarModel trunk = BaseModels.rewardModel(backend, checkpoints, rewardModel);
    if (trunk.heads() > 1) {
      try (trunk) {
        return ScalarModel.criticOn(backend, trunk);
      }
    }
    trunk.resetHead();
    return trunk;
  }

  /**
   * A critic whose weights are read from a state.
   *
   * @param config the critic's {@code config.json}
   * @param adapter null if it has none
   */
  static ScalarModel zeroCritic(
      Backend backend, LanguageModel policy, String config, AdapterConfig adapter) {
    LlamaConfig shape = LlamaConfig.fromJson(config);
    return adapter == null
        ? ScalarModel.zeros(backend, shape)
        : ScalarModel.zeros(backend, shape, policy.frozen().orElseThrow(), adapter);
  }

  /**
   * A trainer of both models, which it closes with itself.
   *
   * @param critic null where {@code ppo.advantage} has none
   */
  public static PpoTrainer of(
      RuntimeSettings settings, Backend backend, LanguageModel policy, ScalarModel critic) {
    return of(settings, backend, policy, critic, Ranks.alone());
  }

  /**
   * The trainer of one updater.
   *
   * @param critic null where {@code ppo.advantage} has none
   */
  static PpoTrainer of(
      RuntimeSettings settings,
      Backend backend,
      LanguageModel policy,
      ScalarModel critic,
      Ranks ranks) {
    MillraceConfig config = settings.config();
    PpoSection section = config.section(PpoSection.class);
    policy.useMemory(settings.memory());
    if (critic != null) {
      critic.useMemory(settings.memory());
    }
    return new PpoTrainer(
        backend,
        policy,
        critic,
        PpoSettings.builder()
            .miniBatchSize(section.miniBatchSize())
            .epochs(section.epochs())
            .piecewise(section.piecewiseReward())
            .whitening(section.whitening())
            .klPenalty(section.klPenalty())
            .lengthPenalty(section.lengthPenaltyRule())
            .advantages(section.advantages())
            .objective(section.objective())
            .importanceWeight(section.importanceWeight().orElse(null))
            .entropyBonus(section.entropyBonus())
            .maxUpdateKl(
                section.maxUpdateKl() > 0 ? section.maxUpdateKl() : Double.POSITIVE_INFINITY)
            .criticWarmup(section.criticWarmup())
            .maxSkippedUpdates(section.maxSkippedUpdates())
            .temperature((float) config.section(RolloutSection.class).temperature())
            .seed(config.model().seed())
            .adamW(section.optimizer().adamW())
            .learningRate(LearningRate.constant(section.learningRate()))
            .criticLearningRate(LearningRate.constant(section.criticLearningRate()))
            .build(),
        section.klController(),
        ranks,
        section.shardOptimizer());
  }
}
