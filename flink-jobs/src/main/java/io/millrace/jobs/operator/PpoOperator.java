package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.PpoSection;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.rlhf.AdaptiveKl;
import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.KlController;
import io.millrace.model.rlhf.KlPenalty;
import io.millrace.model.rlhf.PiecewiseReward;
import io.millrace.model.rlhf.PpoObjective;
import io.millrace.model.tensor.Backend;
import io.millrace.model.train.LearningRate;
import io.millrace.model.train.PpoIteration;
import io.millrace.model.train.PpoSettings;
import io.millrace.model.train.PpoTrainer;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Topic;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** The policy and its critic: one PPO iteration for every batch of scored rollouts. */
public final class PpoOperator extends LearningOperator<StagedCheckpoint>
    implements OneInputStreamOperator<ScoredRollout, StagedCheckpoint>, BoundedOneInput {

  private static final long serialVersionUID = 1;
  private static final String JOB = "ppo";

  private final RuntimeSettings settings;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient PpoTrainer trainer;
  private transient Publisher publisher;
  private transient Counter stale;

  // State.
  private transient List<ScoredRollout> batch;
  private transient long consumed;
  private transient long learned;
  private transient long droppedStale;
  private transient long version;
  private transient long publishedIteration;
  private transient Map<String, Double> lastMetrics;

  public PpoOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private PpoSection section() {
    return settings.config().ppo();
  }

  @Override
  protected void openModels() throws IOException {
    MillraceConfig config = settings.config();
    backend = settings.backend();
    policy = PolicyModel.load(backend, config.model().initial());
    publisher = settings.publisher();
    String name = config.model().name();
    version =
        Math.max(policy.version(), publisher.latestVersion(name, Topic.POLICY_CHECKPOINTS, name));
    batch = new ArrayList<>();
    lastMetrics = new HashMap<>();
    stale = getMetricGroup().addGroup("reason", "stale").counter("rollouts_dropped");
  }

  @Override
  public void processElement(StreamRecord<ScoredRollout> element) throws Exception {
    ScoredRollout rollout = element.getValue();
    consumed++;
    long staleness = version - rollout.policyVersion;
    if (staleness > section().maxStaleness()) {
      droppedStale++;
      stale.inc();
      return;
    }
    batch.add(rollout);
    if (batch.size() == section().batchSize()) {
      iterate();
    }
  }

  private void iterate() throws IOException {
    if (trainer == null) {
      trainer = trainer(batch.get(0).helpfulnessUri);
    }
    PpoIteration iteration = trainer.iterate(batch.stream().map(ScoredRollout::toPpo).toList());
    learned += batch.size();
    long staleness = 0;
    for (int i = 0; i < batch.size(); i++) {
      staleness += version - batch.get(i).policyVersion;
      emit(Outputs.REWARDS, reward(batch.get(i), iteration, i));
    }
    lastMetrics = new HashMap<>(iteration.metrics());
    lastMetrics.put("stream/policy_lag_versions", (double) staleness / batch.size());
    lastMetrics.put("episode", (double) learned);
    lastMetrics.putAll(figures());
    batch.clear();
    if (trainer.iteration() - publishedIteration >= section().publishEvery()) {
      publish();
    }
    emit(
        Outputs.METRICS,
        Outputs.metrics(JOB, trainer.iteration(), Map.copyOf(lastMetrics), Instant.now()));
  }

  private Map<String, Double> figures() {
    return new HashMap<>(
        Map.of(
            "rollouts", (double) consumed,
            "learned", (double) learned,
            "dropped/stale", (double) droppedStale,
            "restarts", (double) getRuntimeContext().getTaskInfo().getAttemptNumber(),
            "version", (double) version));
  }

  /** The critic starts from the helpfulness reward model that scored the first batch. */
  private PpoTrainer trainer(String criticUri) throws IOException {
    ScalarModel critic;
    try (CheckpointDirectory checkpoint =
        CheckpointDirectory.open(CheckpointStore.resolve(criticUri))) {
      critic = ModelWeights.rewardModel(backend, checkpoint);
    }
    return trainer(critic);
  }

  private PpoTrainer trainer(ScalarModel critic) {
    PpoSection section = section();
    return new PpoTrainer(
        backend,
        policy.model(),
        critic,
        new PpoSettings(
            section.miniBatchSize(),
            section.epochs(),
            new PiecewiseReward(section.safetyThreshold()),
            new KlPenalty(section.klEstimator(), section.truncationPenalty()),
            new Advantages(section.gamma(), section.lambda()),
            new PpoObjective(section.clip(), section.valueClip()),
            (float) settings.config().rollout().temperature(),
            settings.config().model().seed(),
            section.optimizer().adamW(),
            LearningRate.constant(section.learningRate()),
            LearningRate.constant(section.criticLearningRate())),
        section.klTarget() > 0
            ? KlController.adaptive(
                new AdaptiveKl.Settings(section.kl(), section.klTarget(), section.klHorizon()))
            : KlController.fixed(section.kl()));
  }

  private static Reward reward(ScoredRollout rollout, PpoIteration iteration, int i) {
    return Reward.newBuilder()
        .setRolloutId(rollout.rolloutId)
        .setPromptId(rollout.promptId)
        .setPolicyVersion(rollout.policyVersion)
        .setIteration(iteration.iteration())
        .setHelpfulnessScore(rollout.helpfulnessScore)
        .setSafetyScore(rollout.safetyScore)
        .setHelpfulnessVersion(rollout.helpfulnessVersion)
        .setSafetyVersion(rollout.safetyVersion)
        .setCombined((float) iteration.combined()[i])
        .setWhitened((float) iteration.whitened()[i])
        .setKl((float) iteration.kl()[i])
        .setTime(Instant.now())
        .build();
  }

  /** What is left of an incomplete batch stays unlearned, and is told so. */
  @Override
  public void endInput() throws Exception {
    if (trainer != null && trainer.iteration() > publishedIteration) {
      publish();
    }
    Map<String, Double> summary = figures();
    summary.put("incomplete-batch", (double) batch.size());
    summary.put("iterations", trainer == null ? 0 : (double) trainer.iteration());
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  private void publish() throws IOException {
    String name = settings.config().model().name();
    long parent = version;
    version++;
    publishedIteration = trainer.iteration();
    Map<String, Double> metrics = new HashMap<>(lastMetrics);
    metrics.values().removeIf(value -> !Double.isFinite(value));
    emit(
        publisher.stage(
            policy.model().config(),
            policy.model().weights(),
            policy.tokenizer(),
            CheckpointManifest.describing(
                CheckpointKind.POLICY,
                name,
                version,
                parent == 0 ? null : parent,
                trainer.iteration(),
                trainer.steps(),
                Map.of("rollouts", consumed),
                metrics),
            Topic.POLICY_CHECKPOINTS,
            files ->
                PolicyCheckpoint.newBuilder()
                    .setModel(name)
                    .setVersion(version)
                    .setUri(files.finalUri())
                    .setManifestSha256(files.manifestSha256())
                    .setIteration(trainer.iteration())
                    .setStep(trainer.steps())
                    .setRollouts(consumed)
                    .setMetrics(metrics)
                    .setTime(Instant.now())
                    .build()));
  }

  @Override
  protected void writeState(DataOutputStream out) throws IOException {
    out.writeLong(consumed);
    out.writeLong(learned);
    out.writeLong(droppedStale);
    out.writeLong(version);
    out.writeLong(publishedIteration);
    StateIo.writeList(
        out,
        List.copyOf(lastMetrics.entrySet()),
        (stream, metric) -> {
          StateIo.writeText(stream, metric.getKey());
          stream.writeDouble(metric.getValue());
        });
    StateIo.writeList(out, batch, ScoredRollout::write);
    out.writeBoolean(trainer != null);
    if (trainer != null) {
      trainer.write(out);
    }
  }

  @Override
  protected void readState(DataInputStream in) throws IOException {
    consumed = in.readLong();
    learned = in.readLong();
    droppedStale = in.readLong();
    version = in.readLong();
    publishedIteration = in.readLong();
    for (Map.Entry<String, Double> metric :
        StateIo.readList(in, stream -> Map.entry(StateIo.readText(stream), stream.readDouble()))) {
      lastMetrics.put(metric.getKey(), metric.getValue());
    }
    batch = StateIo.readList(in, ScoredRollout::read);
    if (in.readBoolean()) {
      // The critic's weights are about to be read: any of the right shape will do.
      trainer =
          trainer(
              ScalarModel.onTrunkOf(backend, policy.model().config(), policy.model().weights()));
      trainer.read(in);
    }
  }

  @Override
  protected void closeModels() {
    if (trainer != null) {
      Closing.closeAll(trainer, policy.tokenizer(), backend);
    } else {
      Closing.closeAll(policy, backend);
    }
  }
}
