package io.millrace.jobs.ppo;

import io.millrace.jobs.models.RewardModelPair;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import java.util.List;
import org.apache.avro.reflect.AvroDefault;

/**
 * A rollout on its way from scoring to learning.
 *
 * @param rollout as it was read from its topic
 * @param isSafety IS_SAFETY(p): the prompt's flag, or the classifier's verdict
 * @param helpfulnessScore R_h, anchored; the mean of the heads
 * @param safetyScore R_s, anchored; the mean of the heads
 * @param rewardModels the models that scored it; the critic starts from the helpfulness model of
 *     the first batch
 * @param referenceLogProbs of the response tokens under π_0, in nats, {@code [r]}
 * @param helpfulnessHeads anchored score of each head of an ensemble; none for one head
 * @param safetyHeads likewise, of the safety reward model
 * @param samplerLogProbs of the response tokens under the trainer's own weights of the version that
 *     sampled it, in nats, {@code [r]}; none if they were not computed
 * @param surprisalGap sum of H_t + log π_v(y_t) over the response under the same weights, in nats
 */
public record ScoredRollout(
    Rollout rollout,
    boolean isSafety,
    float helpfulnessScore,
    float safetyScore,
    RewardModelPair rewardModels,
    float[] referenceLogProbs,
    @AvroDefault("[]") float[] helpfulnessHeads,
    @AvroDefault("[]") float[] safetyHeads,
    @AvroDefault("[]") float[] samplerLogProbs,
    @AvroDefault("0.0") double surprisalGap) {

  /** A rollout that reward models with one head scored. */
  public ScoredRollout(
      Rollout rollout,
      boolean isSafety,
      float helpfulnessScore,
      float safetyScore,
      RewardModelPair rewardModels,
      float[] referenceLogProbs) {
    this(
        rollout,
        isSafety,
        helpfulnessScore,
        safetyScore,
        rewardModels,
        referenceLogProbs,
        new float[0],
        new float[0],
        new float[0],
        0);
  }

  /** Whether the log-probs of its engine were compared with the trainer's own. */
  boolean isMeasured() {
    return samplerLogProbs.length > 0;
  }

  public String promptId() {
    return rollout.getPromptId();
  }

  public long policyVersion() {
    return rollout.getPolicyVersion();
  }

  /**
   * Whether this deployment's own job {@code rollout} sampled a rollout with its own engine: only
   * it knows the seed, and it names no other engine.
   *
   * @param runSeed {@code model.seed}
   */
  static boolean isOwn(Rollout rollout, long runSeed) {
    return rollout.getEngine().isEmpty()
        && rollout.getSeed() == SamplingRequest.seed(runSeed, rollout.getRolloutId());
  }

  /**
   * The rollout for a policy that learns from it.
   *
   * @param offPolicy whether its log-probs are not exactly those of that policy
   * @param reward what it earns for uncertain scores
   */
  public PpoRollout forPolicy(boolean offPolicy, EnsembleReward reward) {
    return new PpoRollout(
        rollout.getRolloutId(),
        ints(rollout.getPromptTokens()),
        ints(rollout.getResponseTokens()),
        floats(rollout.getLogProbs()),
        referenceLogProbs,
        reward.of(helpfulnessScore, helpfulnessHeads),
        reward.of(safetyScore, safetyHeads),
        isSafety,
        rollout.getFinishReason() == FinishReason.LENGTH,
        offPolicy);
  }

  static int[] ints(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  private static float[] floats(List<Float> values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i);
    }
    return floats;
  }
}
