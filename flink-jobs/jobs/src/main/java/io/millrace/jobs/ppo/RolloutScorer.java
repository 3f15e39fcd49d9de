package io.millrace.jobs.ppo;

import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Scores one batch of rollouts after another, in pieces: the pass of each reward model, then that
 * of the reference policy. What a piece found is not state: after a failure the batch is scored
 * again, whole, and gives the same bits.
 */
public final class RolloutScorer implements AutoCloseable {

  /**
   * Rollouts that are scored together, and by which reward models.
   *
   * @param models one of each objective
   */
  public record Batch(List<Rollout> rollouts, Map<Objective, RewardCheckpoint> models) {
    public Batch {
      rollouts = List.copyOf(rollouts);
      models = Map.copyOf(models);
      if (models.size() < Objective.values().length) {
        throw new IllegalArgumentException("a batch is scored by every objective, not " + models);
      }
    }
  }

  private final RewardModels rewardModels;
  private final PolicyModel reference;
  private final SafetyClassifier classifier;
  private final float temperature;

  // The batch that is being scored; null between batches.
  private Batch batch;
  private List<int[]> sequences;
  private int[] from;
  private final Map<Objective, float[]> scores = new EnumMap<>(Objective.class);

  /**
   * @param rewardModels closed with this
   * @param reference the policy whose log-probs are taken
   * @param temperature that all rollouts were sampled at
   */
  public RolloutScorer(
      RewardModels rewardModels,
      PolicyModel reference,
      SafetyClassifier classifier,
      float temperature) {
    this.rewardModels = rewardModels;
    this.reference = reference;
    this.classifier = classifier;
    this.temperature = temperature;
  }

  /** Whether a batch is being scored. */
  boolean busy() {
    return batch != null;
  }

  /** Takes a batch up; {@link #advance} scores it. */
  public void begin(Batch next) {
    if (batch != null) {
      throw new IllegalStateException("the last batch is not done yet");
    }
    batch = next;
    sequences = new ArrayList<>();
    from = new int[next.rollouts().size()];
    for (int i = 0; i < from.length; i++) {
      int[] prompt = ints(next.rollouts().get(i).getPromptTokens());
      int[] response = ints(next.rollouts().get(i).getResponseTokens());
      int[] tokens = Arrays.copyOf(prompt, prompt.length + response.length);
      System.arraycopy(response, 0, tokens, prompt.length, response.length);
      sequences.add(tokens);
      from[i] = prompt.length;
    }
  }

  /**
   * The next piece of the batch.
   *
   * @return its rollouts in order, once it is done
   */
  public Optional<List<ScoredRollout>> advance() throws IOException {
    for (Objective objective : Objective.values()) {
      if (!scores.containsKey(objective)) {
        scores.put(objective, model(objective).score(sequences));
        return Optional.empty();
      }
    }
    // Log-probs at the temperature that sampled them; one for all, as the job's check ensures.
    float[] referenceLogProbs =
        reference.model().infer(sequences, Targets.from(sequences, from), temperature).logProbs();
    List<ScoredRollout> scored = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < from.length; i++) {
      ScoredRollout rollout = scored(i);
      rollout.referenceLogProbs =
          Arrays.copyOfRange(referenceLogProbs, at, at + rollout.response.length);
      at += rollout.response.length;
      scored.add(rollout);
    }
    batch = null;
    scores.clear();
    return Optional.of(scored);
  }

  /** One rollout with everything but its log-probs under the reference policy. */
  private ScoredRollout scored(int i) {
    Rollout rollout = batch.rollouts().get(i);
    int[] tokens = sequences.get(i);
    RewardCheckpoint helpfulness = batch.models().get(Objective.HELPFULNESS);
    ScoredRollout scored = new ScoredRollout();
    scored.rolloutId = rollout.getRolloutId();
    scored.promptId = rollout.getPromptId();
    scored.prompt = Arrays.copyOf(tokens, from[i]);
    scored.response = Arrays.copyOfRange(tokens, from[i], tokens.length);
    scored.logProbs = floats(rollout.getLogProbs());
    scored.helpfulnessScore = scores.get(Objective.HELPFULNESS)[i];
    scored.safetyScore = scores.get(Objective.SAFETY)[i];
    scored.helpfulnessVersion = helpfulness.getVersion();
    scored.safetyVersion = batch.models().get(Objective.SAFETY).getVersion();
    scored.helpfulnessUri = helpfulness.getUri();
    scored.isSafety =
        rollout.getIsSafety() || classifier.isSafety(Dialogues.messages(rollout.getDialogue()));
    scored.truncated = rollout.getFinishReason() == FinishReason.LENGTH;
    scored.policyVersion = rollout.getPolicyVersion();
    scored.temperature = rollout.getTemperature();
    return scored;
  }

  private ScalarModel model(Objective objective) throws IOException {
    RewardCheckpoint wanted = batch.models().get(objective);
    return rewardModels.of(objective, wanted.getUri(), Optional.of(wanted.getManifestSha256()));
  }

  private static int[] ints(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  private static float[] floats(List<Float> values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i);
    }
    return floats;
  }

  /** Frees the reward models; the reference policy is the caller's. */
  @Override
  public void close() {
    rewardModels.close();
  }
}
