package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.PpoSection;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.jobs.safety.SafetyClassifiers;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.train.StateIo;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Scores rollouts with the latest announced reward models and takes their log-probs under the
 * reference policy. Until both reward models are announced rollouts wait, as state.
 *
 * <p>Batches are formed by count and never by time: the last bits of a score depend on what else is
 * in its batch, and a run that is killed must end in the same bits as one that is not. Waiting
 * costs nothing, since PPO waits for its own, larger batch.
 */
public final class ScoreOperator extends LearningOperator<ScoredRollout>
    implements TwoInputStreamOperator<Rollout, RewardCheckpoint, ScoredRollout>, BoundedMultiInput {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel reference;
  private transient RewardModels rewardModels;
  private transient SingleObject<Rollout> rolloutCodec;
  private transient SingleObject<RewardCheckpoint> checkpointCodec;
  private transient SafetyClassifier classifier;
  private transient boolean announcementsEnded;
  private transient boolean rolloutsEnded;

  // State.
  private transient List<Rollout> waiting;
  private transient Map<Objective, RewardCheckpoint> announced;

  public ScoreOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private PpoSection section() {
    return settings.config().ppo();
  }

  @Override
  protected void openModels() throws IOException {
    backend = settings.backend();
    reference = settings.initialPolicy(backend);
    classifier = SafetyClassifiers.of(section());
    rewardModels = new RewardModels(backend, settings.checkpoints());
    rolloutCodec = SingleObject.of(Rollout.class);
    checkpointCodec = SingleObject.of(RewardCheckpoint.class);
    waiting = new ArrayList<>();
    announced = new EnumMap<>(Objective.class);
  }

  @Override
  public void processElement1(StreamRecord<Rollout> element) throws IOException {
    waiting.add(element.getValue());
    scoreFullBatches();
  }

  @Override
  public void processElement2(StreamRecord<RewardCheckpoint> element) throws IOException {
    RewardCheckpoint checkpoint = element.getValue();
    if (!CheckpointStore.isRetired(checkpoint.getUri())) {
      announced.put(checkpoint.getObjective(), checkpoint);
    }
    scoreFullBatches();
  }

  private boolean ready() {
    // A bounded run scores with the last reward models there are.
    return announced.size() == Objective.values().length && (!bounded || announcementsEnded);
  }

  private void scoreFullBatches() throws IOException {
    while (ready() && waiting.size() >= section().scoreBatchSize()) {
      score(waiting.subList(0, section().scoreBatchSize()));
    }
  }

  /** Scores and removes the rollouts. */
  private void score(List<Rollout> rollouts) throws IOException {
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[rollouts.size()];
    for (int i = 0; i < from.length; i++) {
      int[] prompt = ints(rollouts.get(i).getPromptTokens());
      int[] response = ints(rollouts.get(i).getResponseTokens());
      int[] tokens = Arrays.copyOf(prompt, prompt.length + response.length);
      System.arraycopy(response, 0, tokens, prompt.length, response.length);
      sequences.add(tokens);
      from[i] = prompt.length;
    }
    float[] helpfulness = model(Objective.HELPFULNESS).score(sequences);
    float[] safety = model(Objective.SAFETY).score(sequences);
    // Log-probs at the temperature that sampled them; one for all, as the job's check ensures.
    float[] referenceLogProbs =
        reference
            .model()
            .infer(
                sequences,
                Targets.from(sequences, from),
                (float) settings.config().rollout().temperature())
            .logProbs();
    int at = 0;
    for (int i = 0; i < from.length; i++) {
      Rollout rollout = rollouts.get(i);
      int length = rollout.getResponseTokens().size();
      ScoredRollout scored = new ScoredRollout();
      scored.rolloutId = rollout.getRolloutId();
      scored.promptId = rollout.getPromptId();
      scored.prompt = Arrays.copyOf(sequences.get(i), from[i]);
      scored.response = Arrays.copyOfRange(sequences.get(i), from[i], sequences.get(i).length);
      scored.logProbs = floats(rollout.getLogProbs());
      scored.referenceLogProbs = Arrays.copyOfRange(referenceLogProbs, at, at + length);
      scored.helpfulnessScore = helpfulness[i];
      scored.safetyScore = safety[i];
      scored.helpfulnessVersion = announced.get(Objective.HELPFULNESS).getVersion();
      scored.safetyVersion = announced.get(Objective.SAFETY).getVersion();
      scored.helpfulnessUri = announced.get(Objective.HELPFULNESS).getUri();
      scored.isSafety =
          rollout.getIsSafety() || classifier.isSafety(Dialogues.messages(rollout.getDialogue()));
      scored.truncated = rollout.getFinishReason() == FinishReason.LENGTH;
      scored.policyVersion = rollout.getPolicyVersion();
      scored.temperature = rollout.getTemperature();
      at += length;
      emit(scored);
    }
    rollouts.clear();
  }

  private ScalarModel model(Objective objective) throws IOException {
    RewardCheckpoint wanted = announced.get(objective);
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

  @Override
  public void endInput(int input) throws IOException {
    if (input == 1) {
      rolloutsEnded = true;
    } else {
      announcementsEnded = true;
      scoreFullBatches();
    }
    if (rolloutsEnded && announcementsEnded && ready() && !waiting.isEmpty()) {
      score(waiting);
    }
  }

  @Override
  protected void writeState(DataOutputStream out) throws IOException {
    StateIo.writeList(
        out,
        waiting,
        (stream, rollout) -> StateIo.writeBytes(stream, rolloutCodec.encode(rollout)));
    StateIo.writeList(
        out,
        List.copyOf(announced.values()),
        (stream, checkpoint) -> StateIo.writeBytes(stream, checkpointCodec.encode(checkpoint)));
  }

  @Override
  protected void readState(DataInputStream in) throws IOException {
    waiting.addAll(StateIo.readList(in, stream -> rolloutCodec.decode(StateIo.readBytes(stream))));
    for (RewardCheckpoint checkpoint :
        StateIo.readList(in, stream -> checkpointCodec.decode(StateIo.readBytes(stream)))) {
      announced.put(checkpoint.getObjective(), checkpoint);
    }
    // Of a state that is older than what the store keeps: rollouts wait for the announcements that
    // follow.
    announced.values().removeIf(checkpoint -> CheckpointStore.isRetired(checkpoint.getUri()));
  }

  @Override
  protected void closeModels() {
    Closing.closeAll(rewardModels, reference, backend);
  }
}
