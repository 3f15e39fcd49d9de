package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.MeasuredResponse;
import io.millrace.jobs.evaluation.EvaluatedVersion.Scores;
import io.millrace.jobs.models.LatestRewardModels;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.rewardmodel.RewardModelMetrics;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Scores responses by the latest reward models, and measures these models on held-out judgments.
 */
final class RewardScorer implements AutoCloseable {

  private final RewardModels models;
  private final HeldOutTokens heldOut;
  private final int batchSize;
  private final LatestRewardModels latest = new LatestRewardModels(false);
  private final LatestRewardModels judges = new LatestRewardModels(true);

  /**
   * @param models closed with this scorer
   * @param batchSize responses scored together
   */
  RewardScorer(RewardModels models, HeldOutTokens heldOut, int batchSize) {
    this.models = models;
    this.heldOut = heldOut;
    this.batchSize = batchSize;
  }

  /**
   * Knows this model from now on, unless a later one is known or the store has deleted it.
   *
   * @return whether the model is the latest of its kind now
   */
  boolean use(RewardCheckpoint announced) {
    return announced.getJudge() ? judges.offer(announced) : latest.offer(announced);
  }

  /**
   * The reward models in use: the two of {@code reward-model.judge-share}, once both are announced,
   * else the two that PPO optimises.
   */
  Optional<RewardModelPair> pair() {
    return judges.pair().or(latest::pair);
  }

  /** Whether PPO does not optimise the reward models in use. */
  boolean isHeldOut() {
    return judges.pair().isPresent();
  }

  /** Whether a version has no scores by the reward models in use. */
  boolean isDue(EvaluatedVersion version) {
    return pair().isPresent() && !pair().equals(version.scores().map(Scores::models));
  }

  /** Scores all responses of a version. */
  void score(EvaluatedVersion version) throws IOException {
    RewardModelPair pair = pair().orElseThrow();
    PromptSet set = heldOut.sets().of(version.round());
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < version.responses().size(); i++) {
      MeasuredResponse response = version.responses().get(i);
      sequences.add(TokenArrays.join(set.prompts().get(i), response.tokens()));
    }
    float[] helpfulness = new float[sequences.size()];
    float[] safety = new float[sequences.size()];
    for (int from = 0; from < sequences.size(); from += batchSize) {
      int to = Math.min(from + batchSize, sequences.size());
      RewardModels.Scores scores = models.score(pair, sequences.subList(from, to));
      System.arraycopy(scores.helpfulness(), 0, helpfulness, from, to - from);
      System.arraycopy(scores.safety(), 0, safety, from, to - from);
    }
    version.scored(new Scores(pair, helpfulness, safety));
  }

  /**
   * Metrics of a reward model on the held-out judgments of its objective, with the names of job
   * {@code reward-model}; empty without held-out judgments.
   *
   * @param unsafe PPO's rule for unsafe responses
   */
  Map<String, Double> metricsOnJudgments(
      Objective objective, ModelRef model, PiecewiseReward unsafe) throws IOException {
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : heldOut.pairs()) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
    }
    if (sequences.isEmpty()) {
      return Map.of();
    }
    float[] scores = new float[sequences.size()];
    for (int from = 0; from < scores.length; from += batchSize) {
      int to = Math.min(from + batchSize, scores.length);
      float[] batch = models.logits(objective, model, sequences.subList(from, to));
      System.arraycopy(batch, 0, scores, from, to - from);
    }
    RewardModelMetrics metrics = new RewardModelMetrics(objective, unsafe);
    for (int i = 0; i < heldOut.judgments().size(); i++) {
      metrics.add(heldOut.judgments().get(i), scores[2 * i], scores[2 * i + 1]);
    }
    return metrics.byName();
  }

  /** Writes which reward models are in use. */
  void write(StateWriter out) throws IOException {
    latest.write(out);
  }

  /** The state of the reward models that judge versions. */
  LatestRewardModels.State judgesState() {
    return judges.state();
  }

  void restoreJudges(LatestRewardModels.State state) {
    judges.restore(state);
  }

  /** Restores what {@link #write} wrote, except models that the store has deleted since. */
  void read(StateReader in) throws IOException {
    latest.read(in);
  }

  @Override
  public void close() {
    models.close();
  }
}
