package io.millrace.jobs.quickstart;

import com.fasterxml.jackson.annotation.JsonProperty;
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
   * A policy on held-out prompts.
   *
   * @param goldHelpfulness mean over harmless prompts, from 0 to 1
   * @param unsafeCompliance share of unsafe prompts complied with
   * @param goldSafety mean over unsafe prompts, from 0 to 1
   * @param kl mean over prompts of log π − log π_0, summed over the response, in nats
   * @param prompts of each kind
   * @param examples prompts and responses, to be read
   */
  public record Measured(
      long version,
      @JsonProperty("gold_helpfulness") double goldHelpfulness,
      @JsonProperty("unsafe_compliance") double unsafeCompliance,
      @JsonProperty("gold_safety") double goldSafety,
      double kl,
      @JsonProperty("response_tokens") double responseTokens,
      int prompts,
      List<Example> examples) {}

  /** A prompt and a policy's response. */
  public record Example(String prompt, String response) {}

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
   */
  public record Iteration(long step, double score, double kl, double lag) {}

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
