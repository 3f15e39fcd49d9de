package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Objective;
import java.io.IOException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Scores by reward models. It keeps one model of each objective in memory. */
public final class RewardModels implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(RewardModels.class);

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final PiecewiseReward rule;
  private final Map<Objective, Loaded> loaded = new EnumMap<>(Objective.class);

  private record Loaded(String uri, ScalarModel model, Optional<ScoreScale> scale) {}

  /**
   * Anchored scores of some sequences.
   *
   * @param helpfulness R_h of each sequence
   * @param safety R_s of each sequence
   */
  public record Scores(float[] helpfulness, float[] safety) {}

  /**
   * @param rule PPO's rule; a safety reward model that was anchored for another one keeps its own
   *     scores
   */
  public RewardModels(Backend backend, CheckpointCache checkpoints, PiecewiseReward rule) {
    this.backend = backend;
    this.checkpoints = checkpoints;
    this.rule = rule;
  }

  /** Scores sequences of prompt and response by both reward models. */
  public Scores score(RewardModelPair models, List<int[]> sequences) throws IOException {
    return new Scores(
        score(Objective.HELPFULNESS, models.helpfulness(), sequences),
        score(Objective.SAFETY, models.safety(), sequences));
  }

  /**
   * Scores sequences of prompt and response by one reward model. Scores of all versions that were
   * measured on the same anchors can be compared; a version without a scale keeps its own scores.
   */
  public float[] score(Objective objective, ModelRef model, List<int[]> sequences)
      throws IOException {
    return scoreHeads(objective, model, sequences).means();
  }

  /**
   * Anchored scores of some sequences.
   *
   * @param means of the heads, {@code [sequences]}
   * @param heads {@code [sequences][heads]}; no heads for a model with one
   */
  public record HeadScores(float[] means, float[][] heads) {}

  /** As {@link #score(Objective, ModelRef, List)}, with the scores of an ensemble's heads. */
  public HeadScores scoreHeads(Objective objective, ModelRef model, List<int[]> sequences)
      throws IOException {
    Loaded wanted = load(objective, model);
    int count = wanted.model().heads();
    float[] own = wanted.model().headScores(sequences);
    float[] means = ScalarModel.means(own, count);
    float[][] heads = new float[means.length][];
    for (int i = 0; i < means.length; i++) {
      float[] ofOne =
          count == 1 ? new float[0] : Arrays.copyOfRange(own, i * count, (i + 1) * count);
      float mean = means[i];
      heads[i] = wanted.scale().map(scale -> scale.anchored(ofOne, mean)).orElse(ofOne);
    }
    wanted
        .scale()
        .ifPresent(
            scale -> {
              for (int i = 0; i < means.length; i++) {
                means[i] = scale.anchored(means[i]);
              }
            });
    return new HeadScores(means, heads);
  }

  /** The reward model's own scores, whose logistic is a probability; one logit each, the mean. */
  public float[] logits(Objective objective, ModelRef model, List<int[]> sequences)
      throws IOException {
    return load(objective, model).model().score(sequences);
  }

  private Loaded load(Objective objective, ModelRef wanted) throws IOException {
    Loaded current = loaded.get(objective);
    if (current == null || !current.uri().equals(wanted.uri())) {
      if (current != null) {
        loaded.remove(objective);
        current.model().close();
      }
      try (LocalCheckpoint files =
              wanted.manifestSha256().isEmpty()
                  ? checkpoints.open(wanted.uri())
                  : checkpoints.open(wanted.uri(), wanted.manifestSha256());
          CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
        current =
            new Loaded(
                wanted.uri(),
                BaseModels.rewardModel(backend, checkpoints, checkpoint),
                scale(objective, wanted, checkpoint));
      }
      loaded.put(objective, current);
    }
    return current;
  }

  private Optional<ScoreScale> scale(
      Objective objective, ModelRef model, CheckpointDirectory checkpoint) {
    Optional<ScoreScale> scale = checkpoint.manifest().flatMap(CheckpointManifest::scores);
    if (scale.isEmpty()) {
      LOG.warn(
          "The {} reward model {} was not measured on anchor responses: its scores cannot be"
              + " compared with those of other versions. Versions that reward-model publishes now"
              + " are measured",
          objective,
          model.uri());
    } else if (objective == Objective.SAFETY && !rule.isAnchoredBy(scale.get())) {
      LOG.warn(
          "The safety reward model {} was anchored for another ppo.safety-threshold than {}: its"
              + " scores cannot be compared with those of other versions. Give reward-model the"
              + " same threshold",
          model.uri(),
          rule.threshold());
      return Optional.empty();
    }
    return scale;
  }

  /** Frees the models; the next score loads them again. */
  @Override
  public void close() {
    loaded.values().forEach(model -> model.model().close());
    loaded.clear();
  }
}
