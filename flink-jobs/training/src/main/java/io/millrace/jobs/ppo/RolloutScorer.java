package io.millrace.jobs.ppo;

import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Scores batches of rollouts, one after another. A batch takes three passes: one of each reward
 * model, then one of the reference policy. Rollouts of other engines take one more pass for each
 * policy version that sampled some of them. Results of a pass are not state: after a failure the
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
  private final Optional<SamplerLogProbs> samplers;

  // The current batch; null between batches.
  private Batch batch;
  private List<int[]> sequences;
  private int[] promptLengths;
  private final Map<Objective, RewardModels.HeadScores> scores = new EnumMap<>(Objective.class);

  /** Rollouts of other engines that are not measured yet, by policy version. */
  private final NavigableMap<Long, List<Integer>> unmeasured = new TreeMap<>();

  private final Map<Integer, Measured> measured = new HashMap<>();

  private record Measured(float[] logProbs, double surprisalGap) {}

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
    this(rewardModels, reference, classifier, temperature, Optional.empty());
  }

  /**
   * @param rewardModels closed with this scorer
   * @param reference π_0; it stays open
   * @param temperature at which all rollouts were sampled
   * @param samplers measures the log-probs of other engines; closed with this scorer
   */
  RolloutScorer(
      RewardModels rewardModels,
      PolicyModel reference,
      SafetyClassifier classifier,
      float temperature,
      Optional<SamplerLogProbs> samplers) {
    this.rewardModels = rewardModels;
    this.reference = reference;
    this.classifier = classifier;
    this.temperature = temperature;
    this.samplers = samplers;
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
      Rollout rollout = next.rollouts().get(i);
      if (samplers.filter(of -> of.measures(rollout)).isPresent()) {
        unmeasured.computeIfAbsent(rollout.getPolicyVersion(), _ -> new ArrayList<>()).add(i);
      }
    }
  }

  /** Ends the current batch, if there is one, without a result. */
  public void abandon() {
    batch = null;
    scores.clear();
    unmeasured.clear();
    measured.clear();
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
    if (!unmeasured.isEmpty()) {
      long version = unmeasured.firstKey();
      Optional<LanguageModel> model = samplers.orElseThrow().version(version);
      List<Integer> members = unmeasured.remove(version);
      model.ifPresent(of -> measure(of, members));
      return Optional.empty();
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
    abandon();
    return Optional.of(scored);
  }

  /** Log-probs of some rollouts under the version that sampled them. */
  private void measure(LanguageModel model, List<Integer> members) {
    List<int[]> some = members.stream().map(sequences::get).toList();
    int[] prompts = members.stream().mapToInt(i -> promptLengths[i]).toArray();
    LanguageModel.TokenLogProbs own = model.infer(some, Targets.from(some, prompts), temperature);
    int at = 0;
    for (int i : members) {
      int end = at + sequences.get(i).length - promptLengths[i];
      double gap = 0;
      for (int t = at; t < end; t++) {
        gap += (double) own.entropies()[t] + own.logProbs()[t];
      }
      measured.put(i, new Measured(Arrays.copyOfRange(own.logProbs(), at, end), gap));
      at = end;
    }
  }

  private ScoredRollout scored(int i, float[] referenceLogProbs) {
    Rollout rollout = batch.rollouts().get(i);
    Measured of = measured.getOrDefault(i, new Measured(new float[0], 0));
    return new ScoredRollout(
        rollout,
        rollout.getIsSafety() || classifier.isSafety(Dialogues.messages(rollout.getDialogue())),
        scores.get(Objective.HELPFULNESS).means()[i],
        scores.get(Objective.SAFETY).means()[i],
        batch.models(),
        referenceLogProbs,
        scores.get(Objective.HELPFULNESS).heads()[i],
        scores.get(Objective.SAFETY).heads()[i],
        of.logProbs(),
        of.surprisalGap());
  }

  @Override
  public void close() {
    rewardModels.close();
    samplers.ifPresent(SamplerLogProbs::close);
  }
}
