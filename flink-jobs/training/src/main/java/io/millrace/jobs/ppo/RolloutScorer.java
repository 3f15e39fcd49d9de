package io.millrace.jobs.ppo;

import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Scores batches of rollouts, one after another. A batch takes three passes: one of each reward
 * model, then one of the reference policy. Results of a pass are not state: after a failure the
 * whole batch is scored again, to the same bits.
 */
public final class RolloutScorer implements AutoCloseable {

  /** Rollouts that are scored together, and the models that score them. */
  public record Batch(List<Rollout> rollouts, RewardModelPair models) {
    public Batch {
      rollouts = List.copyOf(rollouts);
    }
  }

  private final RewardModels rewardModels;
  private final PolicyModel reference;
  private final SafetyClassifier classifier;
  private final float temperature;

  // The current batch; null between batches.
  private Batch batch;
  private List<int[]> sequences;
  private int[] promptLengths;
  private final Map<Objective, RewardModels.HeadScores> scores = new EnumMap<>(Objective.class);

  /**
   * @param rewardModels closed with this scorer
   * @param reference π_0; it stays open
   * @param temperature at which all rollouts were sampled
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
  public boolean busy() {
    return batch != null;
  }

  /** Begins a batch; {@link #nextPass} scores it. */
  public void begin(Batch next) {
    if (batch != null) {
      throw new IllegalStateException("the current batch still has passes to come");
    }
    batch = next;
    sequences = new ArrayList<>();
    promptLengths = new int[next.rollouts().size()];
    for (int i = 0; i < promptLengths.length; i++) {
      int[] prompt = ScoredRollout.ints(next.rollouts().get(i).getPromptTokens());
      int[] response = ScoredRollout.ints(next.rollouts().get(i).getResponseTokens());
      sequences.add(TokenArrays.join(prompt, response));
      promptLengths[i] = prompt.length;
    }
  }

  /** Ends the current batch, if there is one, without a result. */
  public void abandon() {
    batch = null;
    scores.clear();
  }

  /**
   * Runs the next pass over the batch.
   *
   * @return the scored rollouts in order, after the last pass
   */
  public Optional<List<ScoredRollout>> nextPass() throws IOException {
    for (Objective objective : Objective.values()) {
      if (!scores.containsKey(objective)) {
        scores.put(
            objective, rewardModels.scoreHeads(objective, batch.models().of(objective), sequences));
        return Optional.empty();
      }
    }
    float[] referenceLogProbs =
        reference
            .model()
            .infer(sequences, Targets.from(sequences, promptLengths), temperature)
            .logProbs();
    List<ScoredRollout> scored = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < promptLengths.length; i++) {
      int end = at + sequences.get(i).length - promptLengths[i];
      scored.add(scored(i, Arrays.copyOfRange(referenceLogProbs, at, end)));
      at = end;
    }
    batch = null;
    scores.clear();
    return Optional.of(scored);
  }

  private ScoredRollout scored(int i, float[] referenceLogProbs) {
    Rollout rollout = batch.rollouts().get(i);
    return new ScoredRollout(
        rollout,
        rollout.getIsSafety() || classifier.isSafety(Dialogues.messages(rollout.getDialogue())),
        scores.get(Objective.HELPFULNESS).means()[i],
        scores.get(Objective.SAFETY).means()[i],
        batch.models(),
        referenceLogProbs,
        scores.get(Objective.HELPFULNESS).heads()[i],
        scores.get(Objective.SAFETY).heads()[i]);
  }

  @Override
  public void close() {
    rewardModels.close();
  }
}
