package io.millrace.model.ppo;

import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.training.Checks;
import io.millrace.model.training.LearningRate;
import java.util.Objects;

/**
 * How PPO learns (Llama 2, arXiv 2307.09288, section 3.2.3; Schulman et al., arXiv 1707.06347).
 *
 * @param miniBatchSize rollouts of one update
 * @param epochs passes over a batch
 * @param piecewise which reward model counts
 * @param whitening which rollouts are whitened together
 * @param klPenalty and what a truncated response loses
 * @param lengthPenalty what a response loses for its length
 * @param advantages how they are estimated, and so whether there is a critic
 * @param objective the clips
 * @param importanceWeight of off-policy tokens; null: decoupled PPO is off, and the clip is around
 *     whatever policy sampled a token
 * @param entropyBonus weight of the mean entropy in the policy's loss, at least 0
 * @param maxUpdateKl KL to the proximal policy, in nats per token, above which the iteration's
 *     remaining updates are left out; infinite: never
 * @param criticWarmup number of first iterations that update only the critic
 * @param maxSkippedUpdates after this many updates in a row that were not finite learning stops
 * @param temperature that rollouts are sampled at, and log-probs taken at
 * @param seed of the shuffling
 */
public record PpoSettings(
    int miniBatchSize,
    int epochs,
    PiecewiseReward piecewise,
    RewardWhitening whitening,
    KlPenalty klPenalty,
    LengthPenalty lengthPenalty,
    Advantages advantages,
    PpoObjective objective,
    ImportanceWeight importanceWeight,
    double entropyBonus,
    double maxUpdateKl,
    long criticWarmup,
    int maxSkippedUpdates,
    float temperature,
    long seed,
    AdamW adamW,
    LearningRate learningRate,
    LearningRate criticLearningRate) {

  public PpoSettings {
    if (miniBatchSize < 1 || epochs < 1 || maxSkippedUpdates < 1) {
      throw new IllegalArgumentException(
          "mini-batch size %d, epochs %d and skipped updates %d must be at least 1"
              .formatted(miniBatchSize, epochs, maxSkippedUpdates));
    }
    Objects.requireNonNull(whitening, "whitening");
    Objects.requireNonNull(lengthPenalty, "lengthPenalty");
    Checks.that(
        entropyBonus >= 0 && Double.isFinite(entropyBonus),
        "entropyBonus",
        entropyBonus,
        "finite and at least 0");
    Checks.that(maxUpdateKl > 0, "maxUpdateKl", maxUpdateKl, "above 0");
    Checks.that(criticWarmup >= 0, "criticWarmup", criticWarmup, "at least 0");
    Checks.that(
        criticWarmup == 0 || advantages.method().hasCritic(),
        "criticWarmup",
        criticWarmup,
        "0 without a critic");
    Objects.requireNonNull(learningRate, "learningRate");
    Objects.requireNonNull(criticLearningRate, "criticLearningRate");
  }

  /** Begins with the defaults of Llama 2; sizes and learning rates are not set. */
  public static Builder builder() {
    return new Builder();
  }

  /** Settings one by one. */
  public static final class Builder {
    private int miniBatchSize;
    private int epochs = 1;
    private PiecewiseReward piecewise = PiecewiseReward.defaults();
    private RewardWhitening whitening = RewardWhitening.DECIDING_MODEL;
    private KlPenalty klPenalty = KlPenalty.defaults();
    private LengthPenalty lengthPenalty = LengthPenalty.NONE;
    private Advantages advantages = Advantages.defaults();
    private PpoObjective objective = PpoObjective.defaults();
    private ImportanceWeight importanceWeight;
    private double entropyBonus;
    private double maxUpdateKl = Double.POSITIVE_INFINITY;
    private long criticWarmup;
    private int maxSkippedUpdates;
    private float temperature = 1;
    private long seed;
    private AdamW adamW = AdamW.llama2();
    private LearningRate learningRate;
    private LearningRate criticLearningRate;

    private Builder() {}

    /** Rollouts of one update. */
    public Builder miniBatchSize(int value) {
      this.miniBatchSize = value;
      return this;
    }

    /** Passes over a batch; 1 if it is not set. */
    public Builder epochs(int value) {
      this.epochs = value;
      return this;
    }

    /** Which reward model counts. */
    public Builder piecewise(PiecewiseReward value) {
      this.piecewise = value;
      return this;
    }

    /** Which rollouts are whitened together; the prompts of one deciding model if it is not set. */
    public Builder whitening(RewardWhitening value) {
      this.whitening = value;
      return this;
    }

    /** KL penalty, and what a truncated response loses. */
    public Builder klPenalty(KlPenalty value) {
      this.klPenalty = value;
      return this;
    }

    /** What a response loses for its length; nothing if it is not set. */
    public Builder lengthPenalty(LengthPenalty value) {
      this.lengthPenalty = value;
      return this;
    }

    /** How advantages are estimated; GAE if it is not set. */
    public Builder advantages(Advantages value) {
      this.advantages = value;
      return this;
    }

    /** The clips. */
    public Builder objective(PpoObjective value) {
      this.objective = value;
      return this;
    }

    /** Weight of off-policy tokens; null, and not set, for no decoupled PPO. */
    public Builder importanceWeight(ImportanceWeight value) {
      this.importanceWeight = value;
      return this;
    }

    /** Weight of the mean entropy in the policy's loss; 0 if it is not set. */
    public Builder entropyBonus(double value) {
      this.entropyBonus = value;
      return this;
    }

    /** KL per token above which an iteration's remaining updates are left out. */
    public Builder maxUpdateKl(double value) {
      this.maxUpdateKl = value;
      return this;
    }

    /** First iterations that update only the critic; 0 if it is not set. */
    public Builder criticWarmup(long value) {
      this.criticWarmup = value;
      return this;
    }

    /** Learning stops after this many updates in a row that were not finite. */
    public Builder maxSkippedUpdates(int value) {
      this.maxSkippedUpdates = value;
      return this;
    }

    /** Temperature of rollouts and of log-probabilities; 1 if it is not set. */
    public Builder temperature(float value) {
      this.temperature = value;
      return this;
    }

    /** Seed of the shuffling. */
    public Builder seed(long value) {
      this.seed = value;
      return this;
    }

    /** Optimizer of both models; Llama 2's if it is not set. */
    public Builder adamW(AdamW value) {
      this.adamW = value;
      return this;
    }

    /** Learning rate of the policy. */
    public Builder learningRate(LearningRate value) {
      this.learningRate = value;
      return this;
    }

    /** Learning rate of the critic. */
    public Builder criticLearningRate(LearningRate value) {
      this.criticLearningRate = value;
      return this;
    }

    /**
     * The settings.
     *
     * @throws IllegalArgumentException where a number is too small
     * @throws NullPointerException naming a learning rate that is not set
     */
    public PpoSettings build() {
      return new PpoSettings(
          miniBatchSize,
          epochs,
          piecewise,
          whitening,
          klPenalty,
          lengthPenalty,
          advantages,
          objective,
          importanceWeight,
          entropyBonus,
          maxUpdateKl,
          criticWarmup,
          maxSkippedUpdates,
          temperature,
          seed,
          adamW,
          learningRate,
          criticLearningRate);
    }
  }
}
