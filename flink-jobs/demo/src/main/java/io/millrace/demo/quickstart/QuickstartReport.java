package io.millrace.demo.quickstart;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import io.millrace.demo.loop.GoldScores;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.world.Annotators;
import io.millrace.world.Difficulty;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The results of a quickstart, which the command writes as JSON.
 *
 * @param rewardModels by objective
 * @param curve the iterations of PPO, in order
 * @param firstCheckpoint directory of the first policy; null in old reports
 * @param lastCheckpoint directory of the last policy
 * @param world the demo world; null in old reports
 * @param splits scores by split of the held-out prompts; null in old reports. {@code policy} has
 *     those of validation too
 */
public record QuickstartReport(
    long seed,
    @JsonProperty("wall_seconds") double wallSeconds,
    Policies policy,
    @JsonProperty("reward_models") Map<String, RewardModel> rewardModels,
    Counts produced,
    Counts consumed,
    Ppo ppo,
    List<Iteration> curve,
    @JsonSetter(nulls = Nulls.SET) @JsonProperty("first_checkpoint") String firstCheckpoint,
    @JsonProperty("last_checkpoint") String lastCheckpoint,
    @JsonSetter(nulls = Nulls.SET) World world,
    @JsonSetter(nulls = Nulls.SET) Map<String, SplitScores> splits) {

  /**
   * The demo world.
   *
   * @param name {@code plain} or {@code hard}
   * @param adversarial share of judgments by adversarial annotators
   * @param annotators the kind of each annotator by name, such as {@code careful}; no job sees it
   */
  public record World(String name, double adversarial, Map<String, String> annotators) {

    static World of(Difficulty difficulty, Annotators annotators) {
      Map<String, String> kinds = new TreeMap<>();
      annotators.kinds().forEach((name, kind) -> kinds.put(name, kind.key()));
      return new World(difficulty.isPlain() ? "plain" : "hard", difficulty.adversarial(), kinds);
    }
  }

  /** The first policy, which only imitates demonstrations, and the last one. */
  public record Policies(GoldScores first, GoldScores last) {}

  /**
   * A reward model.
   *
   * @param version its last version
   * @param judgments judgments that it learned from
   * @param accuracy by rating, and under "all" over all ratings; each judgment was scored before
   *     the model learned from it
   */
  public record RewardModel(long version, long judgments, Map<String, Double> accuracy) {}

  /**
   * An iteration of PPO.
   *
   * @param step number of the iteration, from 1
   * @param score mean of the piecewise reward before whitening, without the KL penalty
   * @param kl mean over rollouts of log π − log π_0, in nats
   * @param lag mean staleness of the rollouts, in versions
   * @param entropy nats per token; null in old reports, as the two fields after it
   * @param clipFraction share of tokens with a clipped ratio
   * @param responseTokens mean length of the responses, in tokens
   */
  public record Iteration(
      long step,
      double score,
      double kl,
      double lag,
      @JsonSetter(nulls = Nulls.SET) Double entropy,
      @JsonSetter(nulls = Nulls.SET) @JsonProperty("clip_fraction") Double clipFraction,
      @JsonSetter(nulls = Nulls.SET) @JsonProperty("response_tokens") Double responseTokens) {

    /** The iteration that the job ppo reports. */
    static Iteration of(TrainingMetrics metrics) {
      Map<String, Double> values = metrics.getMetrics();
      return new Iteration(
          metrics.getStep(),
          values.get("objective/scores"),
          values.get("objective/kl"),
          values.get("stream/policy_lag_versions"),
          values.get("policy/entropy_avg"),
          values.get("policy/clipfrac_avg"),
          values.get("val/response_tokens"));
    }
  }

  /** Counts of records, exact even after failures. */
  public record Counts(long prompts, long judgments, long rollouts) {}

  /**
   * The PPO job.
   *
   * @param learned rollouts that the job learned from
   * @param droppedStale rollouts that were too stale
   * @param learnedTwice rollouts that occur more than once in the topic rewards
   * @param restarts restarts after failures
   */
  public record Ppo(
      long iterations,
      long learned,
      @JsonProperty("dropped_stale") long droppedStale,
      @JsonProperty("learned_twice") long learnedTwice,
      long restarts) {}
}
