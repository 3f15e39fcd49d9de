package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.Sampled;
import io.millrace.jobs.evaluation.EvaluatedVersion.Scores;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.rewardmodel.RewardModelFigures;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The latest reward models, what they say of responses, and how right they are on judgments. */
final class RewardScorer implements AutoCloseable {

  private final RewardModels models;
  private final HeldOutTokens heldOut;
  private final int batchSize;
  private final Map<Objective, RewardCheckpoint> current = new EnumMap<>(Objective.class);

  /** Takes the models over: they are closed with it. */
  RewardScorer(RewardModels models, HeldOutTokens heldOut, int batchSize) {
    this.models = models;
    this.heldOut = heldOut;
    this.batchSize = batchSize;
  }

  /** Scores with this one from now on. */
  void use(RewardCheckpoint checkpoint) {
    current.put(checkpoint.getObjective(), checkpoint);
  }

  /** Those in use; state. */
  List<RewardCheckpoint> inUse() {
    return List.copyOf(current.values());
  }

  /** Whether there are both. */
  boolean isComplete() {
    return current.size() == Objective.values().length;
  }

  /** Whether a version has no scores of the reward models in use. */
  boolean isDue(EvaluatedVersion version) {
    return isComplete()
        && version
            .scores
            .filter(
                scores ->
                    scores.helpfulnessVersion() == version(Objective.HELPFULNESS)
                        && scores.safetyVersion() == version(Objective.SAFETY))
            .isEmpty();
  }

  private long version(Objective objective) {
    return current.get(objective).getVersion();
  }

  /** Scores all responses of a version. */
  void score(EvaluatedVersion version) throws IOException {
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < version.responses.size(); i++) {
      Sampled response = version.responses.get(i);
      sequences.add(TokenArrays.join(heldOut.prompts().get(i), response.tokens()));
    }
    version.scores =
        Optional.of(
            new Scores(
                version(Objective.HELPFULNESS),
                version(Objective.SAFETY),
                score(Objective.HELPFULNESS, sequences),
                score(Objective.SAFETY, sequences)));
  }

  private float[] score(Objective objective, List<int[]> sequences) throws IOException {
    ModelRef model = ModelRef.of(current.get(objective));
    float[] scores = new float[sequences.size()];
    for (int from = 0; from < scores.length; from += batchSize) {
      int to = Math.min(from + batchSize, scores.length);
      System.arraycopy(
          models.score(objective, model, sequences.subList(from, to)), 0, scores, from, to - from);
    }
    return scores;
  }

  /**
   * A reward model's figures on the held-out judgments of its objective, by the names of job {@code
   * reward-model}; empty where there are none.
   */
  Map<String, Double> onJudgments(Objective objective, PiecewiseReward unsafe) throws IOException {
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : heldOut.pairs()) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
    }
    if (sequences.isEmpty()) {
      return Map.of();
    }
    float[] scores = score(objective, sequences);
    RewardModelFigures figures = new RewardModelFigures(objective, unsafe);
    for (int i = 0; i < heldOut.judgments().size(); i++) {
      figures.add(heldOut.judgments().get(i), scores[2 * i], scores[2 * i + 1]);
    }
    return new TreeMap<>(figures.figures());
  }

  @Override
  public void close() {
    models.close();
  }
}
