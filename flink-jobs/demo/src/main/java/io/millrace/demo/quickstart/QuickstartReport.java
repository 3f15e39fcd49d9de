package io.millrace.demo.quickstart;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.millrace.demo.loop.Measured;
import java.util.List;
import java.util.Map;

/** What a quickstart saw; written as JSON by {@code --report}. */
public record QuickstartReport(
    long seed,
    @JsonProperty("wall_seconds") double wallSeconds,
    Policies policy,
    @JsonProperty("reward_models") Map<String, RewardModel> rewardModels,
    Counts produced,
    Counts consumed,
    Ppo ppo,
    List<Iteration> curve,
    @JsonProperty("last_checkpoint") String lastCheckpoint) {

  /** The first policy, which only imitates, against the last. */
  public record Policies(Measured first, Measured last) {}

  /**
   * A reward model.
   *
   * @param accuracy by rating, and of "all"; each judgment was scored before it was learned from
   */
  public record RewardModel(long version, long judgments, Map<String, Double> accuracy) {}

  /**
   * An iteration of PPO.
   *
   * @param score mean of the piecewise reward before whitening, without the KL penalty
   * @param kl mean over rollouts of log π − log π_0, in nats
   * @param lag mean number of versions between the policy that sampled and the one that learned
   * @param entropy nats a token
   * @param clipFraction share of the tokens whose ratio was clipped
   * @param responseTokens mean length of the rollouts' responses
   */
  public record Iteration(
      long step,
      double score,
      double kl,
      double lag,
      Double entropy,
      @JsonProperty("clip_fraction") Double clipFraction,
      @JsonProperty("response_tokens") Double responseTokens) {}

  /** Records, exact also after failures. */
  public record Counts(long prompts, long judgments, long rollouts) {}

  /**
   * The PPO job.
   *
   * @param learned rollouts learned from
   * @param learnedTwice rollouts that the topic rewards holds more than once
   * @param restarts after failures
   */
  public record Ppo(
      long iterations,
      long learned,
      @JsonProperty("dropped_stale") long droppedStale,
      @JsonProperty("learned_twice") long learnedTwice,
      long restarts) {}
}
