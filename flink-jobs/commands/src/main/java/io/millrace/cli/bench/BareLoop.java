package io.millrace.cli.bench;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.ppo.PpoTrainers;
import io.millrace.jobs.ppo.RolloutScorer;
import io.millrace.jobs.ppo.ScoredRollout;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The arithmetic of the PPO job without Kafka and Flink: scoring, then updates. {@link StreamBench}
 * compares the job with it.
 */
final class BareLoop implements AutoCloseable {

  private final MillraceConfig config;
  private final Map<Objective, RewardCheckpoint> models;
  private final Backend scoringBackend;
  private final Backend backend;
  private final PolicyModel reference;
  private final PolicyModel policy;
  private final RolloutScorer scorer;
  private final PpoTrainer trainer;

  /**
   * Loads the models; the critic starts from the helpfulness reward model's trunk.
   *
   * @param models reward models, one of each objective
   */
  BareLoop(MillraceConfig config, Map<Objective, RewardCheckpoint> models) throws IOException {
    this.config = config;
    this.models = models;
    RuntimeSettings settings = new RuntimeSettings(config);
    scoringBackend = settings.backend();
    backend = settings.backend();
    reference = settings.referencePolicy(scoringBackend);
    policy = settings.initialPolicy(backend);
    scorer =
        new RolloutScorer(
            new RewardModels(
                scoringBackend,
                settings.checkpoints(),
                config.section(PpoSection.class).piecewiseReward()),
            reference,
            config.section(PpoSection.class).classifier(),
            (float) config.section(RolloutSection.class).temperature());
    trainer = PpoTrainers.of(settings, backend, policy.model(), critic());
  }

  /** The critic; null if the method has none. */
  private ScalarModel critic() throws IOException {
    if (!config.section(PpoSection.class).advantage().hasCritic()) {
      return null;
    }
    try (CheckpointDirectory checkpoint =
        CheckpointDirectory.open(
            CheckpointStore.resolve(models.get(Objective.HELPFULNESS).getUri()))) {
      return PpoTrainers.critic(backend, new RuntimeSettings(config).checkpoints(), checkpoint);
    }
  }

  /**
   * One iteration on rollouts of the current policy.
   *
   * @param batch {@code ppo.batch-size} rollouts
   */
  PpoIteration learn(List<Rollout> batch) throws IOException {
    List<PpoRollout> scored = new ArrayList<>();
    int size = config.section(PpoSection.class).scoreBatchSize();
    for (int from = 0; from < batch.size(); from += size) {
      List<Rollout> part = batch.subList(from, Math.min(batch.size(), from + size));
      scorer.begin(
          new RolloutScorer.Batch(
              part,
              new RewardModelPair(
                  ModelRef.of(models.get(Objective.HELPFULNESS)),
                  ModelRef.of(models.get(Objective.SAFETY)))));
      Optional<List<ScoredRollout>> done = Optional.empty();
      while (done.isEmpty()) {
        done = scorer.nextPass();
      }
      done.get().forEach(rollout -> scored.add(rollout.forPolicy(false, EnsembleReward.MEAN)));
    }
    return trainer.iterate(scored);
  }

  @Override
  public void close() {
    Closing.closeAll(scorer, trainer, reference, policy.tokenizer(), scoringBackend, backend);
  }
}
