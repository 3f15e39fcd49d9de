package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.EarlyStop;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.ppo.RewardHackingMonitor;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergedException;
import io.millrace.model.training.StateIo;
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
import java.util.Optional;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The policy and its critic: one PPO iteration for every batch of scored rollouts. Rollouts of
 * held-out prompts are looked at and not learned from.
 */
public final class PpoOperator extends TrainingOperator<ScoredRollout, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(PpoOperator.class);
  private static final String JOB = "ppo";

  private final RuntimeSettings settings;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient PpoTrainer trainer;
  private transient Publisher publisher;
  private transient HeldOut heldOut;
  private transient Counter stale;

  // State.
  private transient List<ScoredRollout> batch;
  private transient EarlyStop earlyStop;
  private transient RewardHackingMonitor monitor;
  private transient long consumed;
  private transient long learned;
  private transient long droppedStale;
  private transient long heldOutRollouts;
  private transient long afterStop;
  private transient long version;
  private transient long publishedIteration;
  private transient Map<String, Double> lastMetrics;

  public PpoOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private PpoSection section() {
    return settings.config().section(PpoSection.class);
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    MillraceConfig config = settings.config();
    backend = settings.backend();
    policy = settings.initialPolicy(backend);
    publisher = settings.publisher();
    heldOut = new HeldOut(section().heldOutShare());
    String name = config.model().name();
    version =
        Math.max(policy.version(), publisher.latestVersion(name, Topic.POLICY_CHECKPOINTS, name));
    batch = new ArrayList<>();
    earlyStop =
        new EarlyStop(
            new EarlyStop.Settings(
                section().earlyStopPatience(), EarlyStop.Settings.DEFAULT_MINIMUM_SAMPLES));
    monitor = new RewardHackingMonitor(section().alarmKl());
    lastMetrics = new HashMap<>();
    stale = getMetricGroup().addGroup("reason", "stale").counter("rollouts_dropped");
  }

  /** A batch being learned from, and the next one. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected boolean advance() throws IOException {
    if (trainer != null && trainer.busy()) {
      learn();
      return true;
    }
    if (trainer != null && trainer.iteration() - publishedIteration >= section().publishEvery()) {
      publish();
      return true;
    }
    boolean worked = false;
    while (batch.size() < section().batchSize()) {
      ScoredRollout rollout = poll();
      if (rollout == null) {
        return worked;
      }
      take(rollout);
      worked = true;
    }
    if (trainer == null) {
      trainer = trainer(firstHelpfulnessUri());
    }
    trainer.begin(batch.stream().map(rollout -> rollout.toPpo(version)).toList());
    return true;
  }

  private void take(ScoredRollout rollout) {
    consumed++;
    if (heldOut.contains(rollout.promptId)) {
      heldOutRollouts++;
      earlyStop.add(
          piecewise().combine(rollout.helpfulnessScore, rollout.safetyScore, rollout.isSafety));
      release(1);
    } else if (earlyStop.stopped()) {
      afterStop++;
      release(1);
    } else if (isStale(rollout)) {
      droppedStale++;
      stale.inc();
      release(1);
    } else {
      batch.add(rollout);
    }
  }

  /** Too many versions old, or from before the policy that this job started from: another run's. */
  private boolean isStale(ScoredRollout rollout) {
    return version - rollout.policyVersion > section().maxStaleness()
        || rollout.policyVersion < policy.version();
  }

  private void learn() {
    int pending = trainer.pending();
    Optional<PpoIteration> done;
    try {
      done = trainer.advance();
    } catch (DivergedException e) {
      // From the last Flink checkpoint it would diverge again.
      throw new SuppressRestartsException(e);
    }
    release(pending - trainer.pending());
    if (done.isPresent()) {
      finish(done.get());
    }
  }

  private void finish(PpoIteration iteration) {
    learned += batch.size();
    double staleness = 0;
    for (int i = 0; i < batch.size(); i++) {
      staleness += version - batch.get(i).policyVersion;
      emitLater(Outputs.REWARDS, reward(batch.get(i), iteration, i));
    }
    lastMetrics = new HashMap<>(iteration.metrics());
    lastMetrics.put("stream/policy_lag_versions", staleness / batch.size());
    lastMetrics.put("episode", (double) learned);
    lastMetrics.putAll(watch(iteration.metrics()));
    earlyStop.evaluate();
    if (Double.isFinite(earlyStop.latest())) {
      lastMetrics.put("eval/held_out_score", earlyStop.latest());
    }
    if (earlyStop.stopped()) {
      LOG.warn(
          "No better held-out score in {} iterations: policy version {} learns no more",
          section().earlyStopPatience(),
          version);
    }
    lastMetrics.putAll(figures());
    batch.clear();
    emitLater(
        Outputs.METRICS,
        Outputs.metrics(JOB, trainer.iteration(), Map.copyOf(lastMetrics), Instant.now()));
  }

  private Map<String, Double> watch(Map<String, Double> metrics) {
    RewardHackingMonitor.Finding finding =
        monitor.observe(
            new RewardHackingMonitor.Batch(
                metrics.get("objective/scores"),
                metrics.get("objective/kl"),
                metrics.get("objective/entropy"),
                metrics.get("val/response_tokens"),
                metrics.get("val/truncated_share")));
    finding.alarms().forEach(alarm -> LOG.warn("Iteration {}: {}", trainer.iteration(), alarm));
    return finding.figures();
  }

  private Map<String, Double> figures() {
    Map<String, Double> figures = new HashMap<>();
    figures.put("rollouts", (double) consumed);
    figures.put("learned", (double) learned);
    figures.put("dropped/stale", (double) droppedStale);
    figures.put("held-out", (double) heldOutRollouts);
    figures.put("after-stop", (double) afterStop);
    figures.put("version", (double) version);
    return figures;
  }

  private PiecewiseReward piecewise() {
    return section().piecewiseReward();
  }

  /** That of the first rollout whose reward model the store still keeps. */
  private String firstHelpfulnessUri() {
    return batch.stream()
        .map(rollout -> rollout.helpfulnessUri)
        .filter(uri -> !CheckpointStore.isRetired(uri))
        .findFirst()
        .orElse(batch.get(0).helpfulnessUri);
  }

  /**
   * The critic starts from the trunk of the helpfulness reward model that scored the first batch.
   */
  private PpoTrainer trainer(String criticUri) throws IOException {
    ScalarModel critic;
    try (LocalCheckpoint files = settings.checkpoints().open(criticUri);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
      critic = PpoTrainers.critic(backend, checkpoint);
    }
    return trainer(critic);
  }

  private PpoTrainer trainer(ScalarModel critic) {
    return PpoTrainers.of(settings, backend, policy.model(), critic);
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
  protected void finishInput() throws Exception {
    if (trainer != null && trainer.iteration() > publishedIteration) {
      publish();
    }
    Map<String, Double> summary = figures();
    summary.put("restarts", (double) getRuntimeContext().getTaskInfo().getAttemptNumber());
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
    emitLater(
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
  protected void writeTraining(DataOutputStream out) throws IOException {
    out.writeLong(consumed);
    out.writeLong(learned);
    out.writeLong(droppedStale);
    out.writeLong(heldOutRollouts);
    out.writeLong(afterStop);
    out.writeLong(version);
    out.writeLong(publishedIteration);
    StateIo.writeFigures(out, lastMetrics);
    earlyStop.write(out);
    monitor.write(out);
    StateIo.writeList(out, batch, ScoredRollout::write);
    out.writeBoolean(trainer != null);
    if (trainer != null) {
      trainer.write(out);
    }
  }

  @Override
  protected int readTraining(DataInputStream in) throws IOException {
    consumed = in.readLong();
    learned = in.readLong();
    droppedStale = in.readLong();
    heldOutRollouts = in.readLong();
    afterStop = in.readLong();
    version = in.readLong();
    publishedIteration = in.readLong();
    lastMetrics.putAll(StateIo.readFigures(in));
    earlyStop.read(in);
    monitor.read(in);
    batch = StateIo.readList(in, ScoredRollout::read);
    if (in.readBoolean()) {
      // The critic's weights are about to be read: any of the right shape will do.
      trainer =
          trainer(
              ScalarModel.onTrunkOf(backend, policy.model().config(), policy.model().weights()));
      trainer.read(in);
    }
    return trainer != null && trainer.busy() ? trainer.pending() : batch.size();
  }

  @Override
  protected void writeRecord(DataOutputStream out, ScoredRollout rollout) throws IOException {
    ScoredRollout.write(out, rollout);
  }

  @Override
  protected ScoredRollout readRecord(DataInputStream in) throws IOException {
    return ScoredRollout.read(in);
  }

  @Override
  public void closeModels() {
    if (trainer != null) {
      Closing.closeAll(trainer, policy.tokenizer(), backend);
    } else {
      Closing.closeAll(policy, backend);
    }
  }
}
