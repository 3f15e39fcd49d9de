package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.LearnedRecords;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.EarlyStop;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.ppo.RewardHackingMonitor;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains the policy and its critic, if {@code ppo.advantage} has one: one PPO iteration for every
 * batch of scored rollouts. Rollouts of held-out prompts are measured and not learned from.
 */
public final class PpoOperator extends TrainingOperator<ScoredRollout, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(PpoOperator.class);
  static final String JOB = "ppo";

  private final RuntimeSettings settings;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient PpoTrainer trainer;

  /** Null with one updater. */
  private transient UpdaterLead lead;

  private transient Publisher publisher;
  private transient HeldOut heldOut;
  private transient Drops stale;
  private transient Drops afterEarlyStop;
  private transient Drops alone;
  private transient Drops mismatched;
  private transient Drops ofAnotherSampler;
  private transient LogProbCheck logProbs;

  /** Whether the task has all input. */
  private transient volatile boolean inputEnded;

  // State.
  private transient LearnedRecords lineage;
  private transient WaitingBatch batch;
  private transient EarlyStop earlyStop;
  private transient RewardHackingMonitor monitor;
  private transient long consumed;
  private transient long learned;
  private transient long droppedStale;
  private transient long heldOutRollouts;
  private transient long afterStop;
  private transient long droppedAlone;
  private transient long droppedMismatched;
  private transient long droppedOfAnotherSampler;
  private transient long stoppedUpdates;
  private transient volatile long version;
  private transient long publishedIteration;
  private transient Map<String, Double> lastMetrics;

  /** Of the batch that is being learned from. */
  private transient Map<String, Double> logProbMetrics;

  public PpoOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private PpoSection section() {
    return settings.config().section(PpoSection.class);
  }

  private String name() {
    return settings.config().model().name();
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    backend = settings.backend();
    policy = settings.initialPolicy(backend);
    publisher = settings.publisher();
    settings.consumerGroups().register(JOB, Topic.ROLLOUTS);
    heldOut = new HeldOut(section().heldOutShare());
    version = Math.max(policy.version(), publisher.latestPolicy(name()));
    lineage = new LearnedRecords(name(), Topic.PROMPTS);
    lineage.startFrom(policy.name(), policy.version());
    batch = new WaitingBatch(section(), samplesPerPrompt(), new BatchDrops());
    earlyStop = section().earlyStop();
    monitor = section().monitor();
    lastMetrics = new HashMap<>();
    logProbMetrics = Map.of();
    logProbs =
        new LogProbCheck(
            section().alarmLogProbDifference(),
            (float) settings.config().section(RolloutSection.class).temperature());
    if (section().updaters() > 1) {
      lead = UpdaterLead.open(section(), getContainingTask().getEnvironment().getTaskManagerInfo());
    }
    stale = new Drops("stale");
    afterEarlyStop = new Drops("after-stop");
    alone = new Drops("alone");
    mismatched = new Drops("logprob-mismatch");
    ofAnotherSampler = new Drops("other-sampler");
  }

  @Override
  public void open() throws Exception {
    super.open();
    if (lead != null) {
      emit(UpdaterAddress.OUTPUT, lead.address());
    }
  }

  private int samplesPerPrompt() {
    return settings.config().section(RolloutSection.class).samplesPerPrompt();
  }

  /**
   * Counts the rollouts that are dropped for one reason: since the task and since the job began.
   */
  private final class Drops {
    private final Counter metric;
    private final LongCounter total = new LongCounter();

    Drops(String reason) {
      metric = getMetricGroup().addGroup("reason", reason).counter("rollouts_dropped");
      getRuntimeContext()
          .addAccumulator(Totals.prefix(Topic.ROLLOUTS) + Totals.DROPPED + reason, total);
    }

    void inc() {
      metric.inc();
      total.add(1L);
    }

    void restore(long count) {
      total.add(count);
    }
  }

  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.ROLLOUTS);
  }

  @Override
  protected Provenance provenance(ScoredRollout scored) {
    return Provenance.of(scored.rollout());
  }

  /** An iteration that has begun keeps its rollouts to its end; open groups lose theirs. */
  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    int removed =
        batch.removeIf(
            rollout -> withdrawn.test(provenance(rollout)), trainer != null && trainer.busy());
    release(removed);
    return removed + super.removeWithdrawn(withdrawn);
  }

  @Override
  protected boolean usesWithdrawn(Predicate<Provenance> withdrawn) {
    return batch.rollouts().stream().anyMatch(rollout -> withdrawn.test(provenance(rollout)));
  }

  /** What does not enter the batch. */
  private final class BatchDrops implements WaitingBatch.Drops {
    @Override
    public boolean refuses(ScoredRollout rollout) {
      if (isStale(rollout)) {
        drop(rollout);
        return true;
      }
      return isMismatched(rollout);
    }

    @Override
    public void alone(ScoredRollout rollout) {
      dropAlone(rollout);
    }
  }

  /** The batch that is being learned from, the next one, and what waits in open groups. */
  @Override
  protected int capacity() {
    long open = WaitingBatch.mostOpen(section(), samplesPerPrompt());
    return (int) Math.min(Integer.MAX_VALUE, 2L * section().batchSize() + open);
  }

  /** Groups that still wait are closed, oldest first. */
  @Override
  protected void inputEnds() {
    inputEnded = true;
  }

  @Override
  protected long version() {
    return version;
  }

  @Override
  protected boolean work() throws IOException {
    if (trainer != null && trainer.busy()) {
      learn();
      return true;
    }
    if (trainer != null && publishIsDue()) {
      publish();
      return true;
    }
    boolean worked = false;
    while (!batch.isFull()) {
      boolean ended = inputEnded; // Read first: the inbox then has all input.
      ScoredRollout rollout = poll();
      if (rollout != null) {
        take(rollout);
      } else if (!ended || !batch.closeOldest()) {
        return worked;
      }
      worked = true;
    }
    if (trainer == null) {
      trainer = newTrainer(section().advantage().hasCritic() ? firstCritic() : null);
    }
    if (refusesOtherSampler()) {
      return true;
    }
    OptionalLong exact = exactVersion();
    logProbMetrics =
        exact.isPresent()
            ? logProbs.compare(policy, batch.rollouts(), exact.getAsLong())
            : Map.of();
    boolean own = exact.isPresent() && LogProbCheck.areExact(logProbMetrics);
    EnsembleReward reward = section().ensembleReward();
    begin(
        batch.rollouts().stream()
            .map(
                rollout ->
                    rollout.forPolicy(!own || !isOnPolicy(rollout, exact.getAsLong()), reward))
            .toList());
    return true;
  }

  /**
   * The version whose weights the policy has. Between two publications that is none. Before the
   * first it is that of {@code model.initial}, although the store may have later ones of another
   * lineage.
   */
  private OptionalLong exactVersion() {
    if (trainer.iteration() != publishedIteration) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(publishedIteration == 0 ? policy.version() : version);
  }

  /** Whether this deployment's own sampler made a rollout, with the given weights. */
  private boolean isOnPolicy(ScoredRollout rollout, long weights) {
    return rollout.policyVersion() == weights
        && ScoredRollout.isOwn(rollout.rollout(), settings.config().model().seed());
  }

  private void take(ScoredRollout rollout) {
    consumed++;
    if (heldOut.contains(rollout.rollout().getDialogue())) {
      if (isMismatched(rollout)) {
        return;
      }
      heldOutRollouts++;
      earlyStop.add(
          section()
              .piecewiseReward()
              .combine(
                  section()
                      .ensembleReward()
                      .of(rollout.helpfulnessScore(), rollout.helpfulnessHeads()),
                  section().ensembleReward().of(rollout.safetyScore(), rollout.safetyHeads()),
                  rollout.isSafety()));
      release(1);
    } else if (earlyStop.stopped()) {
      dropAfterStop(rollout);
    } else {
      batch.add(rollout);
    }
  }

  private void dropAfterStop(ScoredRollout rollout) {
    LOG.debug("Rollout {} came after the early stop", rollout.rollout().getRolloutId());
    afterStop++;
    afterEarlyStop.inc();
    release(1);
  }

  private void dropAlone(ScoredRollout rollout) {
    droppedAlone++;
    alone.inc();
    // The first, and then ever fewer lines: 1, 2, 4, 8.
    if (Long.bitCount(droppedAlone) == 1) {
      LOG.warn(
          "{} rollouts dropped so far because no other response to their prompt came; the last one"
              + " is {} of prompt {} (rollout.samples-per-prompt {}, ppo.max-open-groups {})",
          droppedAlone,
          rollout.rollout().getRolloutId(),
          rollout.promptId(),
          samplesPerPrompt(),
          section().maxOpenGroups());
    }
    release(1);
  }

  private void drop(ScoredRollout rollout) {
    droppedStale++;
    stale.inc();
    // The first, and then ever fewer lines: 1, 2, 4, 8.
    if (Long.bitCount(droppedStale) == 1) {
      LOG.warn(
          "{} rollouts dropped as stale so far; the last one, {}, is of policy version {}, and the"
              + " current version is {} (ppo.max-staleness {})",
          droppedStale,
          rollout.rollout().getRolloutId(),
          rollout.policyVersion(),
          version,
          section().maxStaleness());
    }
    release(1);
  }

  /**
   * Whether the policy that sampled a rollout is too many versions old, or older than the policy
   * that this job started from and so another run's.
   */
  private boolean isStale(ScoredRollout rollout) {
    return version - rollout.policyVersion() > section().maxStaleness()
        || rollout.policyVersion() < policy.version();
  }

  /** Drops a rollout whose engine recorded other log-probs than its policy version has. */
  private boolean isMismatched(ScoredRollout rollout) {
    double bound = section().maxLogProbMismatch();
    double mean = LogProbMismatch.of(List.of(rollout)).mean();
    if (bound == 0 || mean <= bound) {
      return false;
    }
    droppedMismatched++;
    mismatched.inc();
    // The first, and then ever fewer lines: 1, 2, 4, 8.
    if (Long.bitCount(droppedMismatched) == 1) {
      LOG.warn(
          "{} rollouts of other engines dropped so far because of their log-probs; those of {}, {}"
              + " differ by {} nats per token from those of policy version {} at"
              + " rollout.temperature {} (ppo.max-log-prob-mismatch {}). Is it the engine's own"
              + " temperature, or are they log-probs before temperature?",
          droppedMismatched,
          rollout.rollout().getRolloutId(),
          engine(rollout),
          mean,
          rollout.policyVersion(),
          rollout.rollout().getTemperature(),
          bound);
    }
    release(1);
    return true;
  }

  private static String engine(ScoredRollout rollout) {
    String name = rollout.rollout().getEngine();
    return name.isEmpty() ? "whose engine is not recorded," : "of engine %s,".formatted(name);
  }

  /**
   * Drops all rollouts of other engines from a full batch if another distribution than the policy
   * sampled them, whatever log-probs they record.
   */
  private boolean refusesOtherSampler() {
    double bound = section().maxLogProbMismatch();
    LogProbMismatch mismatch = LogProbMismatch.of(batch.rollouts());
    if (bound == 0 || !mismatch.isOfAnotherSampler(bound)) {
      return false;
    }
    Set<ScoredRollout> refused = Collections.newSetFromMap(new IdentityHashMap<>());
    batch.rollouts().stream().filter(ScoredRollout::isMeasured).forEach(refused::add);
    ScoredRollout last =
        batch.rollouts().reversed().stream().filter(refused::contains).findFirst().orElseThrow();
    int dropped = batch.removeIf(refused::contains, false);
    for (int i = 0; i < dropped; i++) {
      ofAnotherSampler.inc();
    }
    droppedOfAnotherSampler += dropped;
    LOG.warn(
        "{} rollouts of other engines dropped, the last one {}, {} because their tokens are not"
            + " samples of the policy at rollout.temperature {}: they are {} nats per token"
            + " likelier than its samples, {} standard errors. Is it the engine's own temperature,"
            + " top-p or top-k? (ppo.max-log-prob-mismatch {})",
        dropped,
        last.rollout().getRolloutId(),
        engine(last),
        last.rollout().getTemperature(),
        mismatch.surprisalGap(),
        mismatch.surprisalDeviations(),
        bound);
    release(dropped);
    return true;
  }

  private void begin(List<PpoRollout> rollouts) throws IOException {
    if (lead != null) {
      lead.begin(trainer, rollouts);
    }
    trainer.begin(rollouts);
  }

  private void learn() throws IOException {
    int pending = trainer.pending();
    Optional<PpoIteration> done = lead == null ? trainer.step() : lead.step(trainer);
    release(pending - trainer.pending());
    done.ifPresent(this::finish);
  }

  private void finish(PpoIteration iteration) {
    List<ScoredRollout> rollouts = batch.rollouts();
    learned += rollouts.size();
    for (ScoredRollout rollout : rollouts) {
      lineage.add(rollout.promptId());
      lineage.scoredBy(
          rollout.rewardModels().helpfulness().version(),
          rollout.rewardModels().safety().version());
    }
    double staleness = 0;
    for (int i = 0; i < rollouts.size(); i++) {
      staleness += version - rollouts.get(i).policyVersion();
      emitLater(Outputs.REWARDS, reward(rollouts.get(i), iteration, i));
    }
    lastMetrics = new HashMap<>(iteration.metrics());
    lastMetrics.put("stream/policy_lag_versions", staleness / rollouts.size());
    lastMetrics.put("stream/retokenized_share", Retokenized.share(policy.template(), rollouts));
    lastMetrics.put("episode", (double) learned);
    putDisagreement("helpfulness", rollouts, ScoredRollout::helpfulnessHeads);
    putDisagreement("safety", rollouts, ScoredRollout::safetyHeads);
    countStopped(iteration);
    lastMetrics.putAll(watch(iteration.metrics()));
    lastMetrics.putAll(logProbMetrics);
    lastMetrics.putAll(LogProbMismatch.of(rollouts).metrics(rollouts.size()));
    // The policy has learned nothing yet while only the critic learns.
    if (trainer.iteration() > section().criticWarmup()) {
      earlyStop.evaluate();
    }
    if (earlyStop.stopped()) {
      batch.dropOpen(this::dropAfterStop);
    }
    if (Double.isFinite(earlyStop.latest())) {
      lastMetrics.put("eval/held_out_score", earlyStop.latest());
    }
    lastMetrics.putAll(counts());
    if (publishIsDue()) {
      // The version that this iteration makes.
      lastMetrics.put("version", (double) (version + 1));
    }
    batch.clear();
    Map<String, Double> emitted = new HashMap<>(lastMetrics);
    // Not in the state or in manifests: a version that is made again must have the same bytes.
    emitted.put("device/bytes_to", (double) backend.bytesToDevice());
    emitted.put("device/bytes_from", (double) backend.bytesFromDevice());
    if (lead != null) {
      emitted.putAll(lead.metrics());
    }
    emitMetricsLater(Outputs.metrics(JOB, trainer.iteration(), emitted, Instant.now()));
  }

  /** Mean deviation of an ensemble's heads over the batch; no metric for a model with one head. */
  private void putDisagreement(
      String model, List<ScoredRollout> rollouts, Function<ScoredRollout, float[]> heads) {
    rollouts.stream()
        .map(heads)
        .filter(of -> of.length > 1)
        .mapToDouble(EnsembleReward::deviation)
        .average()
        .ifPresent(mean -> lastMetrics.put("ensemble/%s/disagreement".formatted(model), mean));
  }

  private void countStopped(PpoIteration iteration) {
    long stopped = iteration.metrics().get("updates/stopped").longValue();
    stoppedUpdates += stopped;
    if (stopped > 0) {
      LOG.info(
          "Iteration {} left out its last {} updates: its KL to the proximal policy is above {}"
              + " nats per token (ppo.max-update-kl)",
          iteration.iteration(),
          stopped,
          section().maxUpdateKl());
    }
  }

  private Map<String, Double> watch(Map<String, Double> metrics) {
    RewardHackingMonitor.Finding finding =
        monitor.observe(
            new RewardHackingMonitor.Batch(
                metrics.get("objective/scores"),
                metrics.get("objective/kl"),
                metrics.getOrDefault("policy/entropy_avg", Double.NaN),
                metrics.get("val/response_tokens"),
                metrics.get("val/truncated_share")));
    finding.alarms().forEach(alarm -> LOG.warn("Iteration {}: {}", trainer.iteration(), alarm));
    return finding.metrics();
  }

  private Map<String, Double> counts() {
    Map<String, Double> counts = new HashMap<>();
    counts.put("rollouts", (double) consumed);
    counts.put("learned", (double) learned);
    counts.put("dropped/stale", (double) droppedStale);
    counts.put("held-out", (double) heldOutRollouts);
    counts.put("after-stop", (double) afterStop);
    counts.put("updates/stopped_total", (double) stoppedUpdates);
    counts.put("version", (double) version);
    if (droppedMismatched > 0) {
      counts.put("dropped/logprob-mismatch", (double) droppedMismatched);
    }
    if (droppedOfAnotherSampler > 0) {
      counts.put("dropped/other-sampler", (double) droppedOfAnotherSampler);
    }
    if (batch.hasGroups()) {
      counts.put("dropped/alone", (double) droppedAlone);
      counts.put("groups/open", (double) batch.openGroups());
      counts.put("groups/incomplete", (double) batch.incompleteGroups());
    }
    return counts;
  }

  private static Reward reward(ScoredRollout scored, PpoIteration iteration, int i) {
    return Reward.newBuilder()
        .setRolloutId(scored.rollout().getRolloutId())
        .setPromptId(scored.promptId())
        .setPolicyVersion(scored.policyVersion())
        .setIteration(iteration.iteration())
        .setHelpfulnessScore(scored.helpfulnessScore())
        .setSafetyScore(scored.safetyScore())
        .setHelpfulnessVersion(scored.rewardModels().helpfulness().version())
        .setSafetyVersion(scored.rewardModels().safety().version())
        .setHelpfulnessHeads(list(scored.helpfulnessHeads()))
        .setSafetyHeads(list(scored.safetyHeads()))
        .setCombined((float) iteration.combined()[i])
        .setWhitened((float) iteration.whitened()[i])
        .setKl((float) iteration.kl()[i])
        .setTime(Instant.now())
        .build();
  }

  private static List<Float> list(float[] values) {
    List<Float> list = new ArrayList<>(values.length);
    for (float value : values) {
      list.add(value);
    }
    return list;
  }

  /**
   * The critic before its first update, from the helpfulness reward model of the first rollout
   * whose model the store still keeps.
   */
  private ScalarModel firstCritic() throws IOException {
    String uri =
        batch.rollouts().stream()
            .map(rollout -> rollout.rewardModels().helpfulness().uri())
            .filter(candidate -> !CheckpointStore.isRetired(candidate))
            .findFirst()
            .orElse(batch.rollouts().getFirst().rewardModels().helpfulness().uri());
    try (LocalCheckpoint files = settings.checkpoints().open(uri);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
      return PpoTrainers.critic(backend, settings.checkpoints(), checkpoint);
    }
  }

  private PpoTrainer newTrainer(ScalarModel critic) {
    return PpoTrainers.of(
        settings, backend, policy.model(), critic, lead == null ? Ranks.alone() : lead.ranks());
  }

  /** An incomplete batch is discarded; the summary reports its size. */
  @Override
  protected void finishInput() throws Exception {
    if (trainer != null && trainer.iteration() > publishedIteration) {
      publish();
    }
    Map<String, Double> summary = counts();
    summary.put("restarts", restarts());
    summary.put("incomplete-batch", (double) batch.rollouts().size());
    summary.put("iterations", trainer == null ? 0 : (double) trainer.iteration());
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  /** The last iteration before an early stop is published, whatever the option says. */
  private boolean publishIsDue() {
    long every = earlyStop.stopped() ? 1 : section().publishEvery();
    return trainer.iteration() - publishedIteration >= every;
  }

  private void publish() throws IOException {
    long parent = version;
    version = parent + 1;
    publishedIteration = trainer.iteration();
    // An iteration that ends the run is published although none was due.
    lastMetrics.put("version", (double) version);
    emitLater(
        publisher.policy(
            new Publisher.Version(
                name(),
                version,
                parent,
                trainer.iteration(),
                trainer.steps(),
                Map.of("rollouts", consumed),
                lastMetrics,
                Instant.now()),
            policy));
    lineage.publish(version, Instant.now()).forEach(record -> emitLater(Outputs.LINEAGE, record));
    if (earlyStop.stopped()) {
      LOG.warn(
          "The held-out score has not improved in {} evaluations (ppo.early-stop-patience):"
              + " version {} is the last; later rollouts are counted as after-stop",
          section().earlyStopPatience(),
          version);
    }
  }

  /**
   * The operator's state beside its trainer.
   *
   * @param training whether a trainer's state follows
   * @param critic the critic's {@code config.json}; null without a trainer or a critic, and in
   *     states of builds that required the policy's shape
   * @param criticAdapter the critic's adapter; null if it has none
   * @param hasCritic whether the trainer has a critic
   * @param groups null in states of builds without groups
   */
  private record State(
      List<ScoredRollout> inbox,
      List<ScoredRollout> batch,
      long consumed,
      long learned,
      long droppedStale,
      long heldOutRollouts,
      long afterStop,
      long version,
      long publishedIteration,
      Map<String, Double> lastMetrics,
      EarlyStop.State earlyStop,
      RewardHackingMonitor.State monitor,
      boolean training,
      @Nullable @AvroDefault("null") String critic,
      @AvroDefault("{}") Map<String, Double> logProbMetrics,
      @Nullable @AvroDefault("null") AdapterConfig criticAdapter,
      @AvroDefault("0") long stoppedUpdates,
      @Nullable @AvroDefault("null") LearnedRecords.State lineage,
      @AvroDefault("true") boolean hasCritic,
      @Nullable @AvroDefault("null") WaitingBatch.State groups,
      @AvroDefault("0") long droppedAlone,
      @AvroDefault("0") long droppedMismatched,
      @AvroDefault("0") long droppedOfAnotherSampler) {}

  @Override
  protected CopyBudget copies() {
    return settings.copies();
  }

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(
        new State(
            inbox(),
            batch.rollouts(),
            consumed,
            learned,
            droppedStale,
            heldOutRollouts,
            afterStop,
            version,
            publishedIteration,
            lastMetrics,
            earlyStop.state(),
            monitor.state(),
            trainer != null,
            hasCritic() ? trainer.critic().config().toJson() : null,
            logProbMetrics,
            hasCritic() ? trainer.critic().adapter().orElse(null) : null,
            stoppedUpdates,
            lineage.state(),
            section().advantage().hasCritic(),
            batch.state(),
            droppedAlone,
            droppedMismatched,
            droppedOfAnotherSampler));
    if (trainer != null && lead != null) {
      lead.write(trainer, out);
    } else if (trainer != null) {
      trainer.write(out);
    }
  }

  private boolean hasCritic() {
    return trainer != null && trainer.hasCritic();
  }

  /**
   * @throws SuppressRestartsException if the state has a critic and the method has none, or the
   *     other way round
   */
  private void requireSameCritic(State state) {
    AdvantageMethod method = section().advantage();
    if (state.training() && state.hasCritic() != method.hasCritic()) {
      throw new SuppressRestartsException(
          new IllegalStateException(
              ("ppo.advantage is %s, which has %s critic, but the job's state was written %s one."
                      + " Set ppo.advantage back, or start the job without its state, with"
                      + " model.initial at the last published version")
                  .formatted(
                      method,
                      method.hasCritic() ? "a" : "no",
                      state.hasCritic() ? "with" : "without")));
    }
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    requireSameCritic(state);
    consumed = state.consumed();
    droppedAlone = state.droppedAlone();
    alone.restore(droppedAlone);
    droppedMismatched = state.droppedMismatched();
    mismatched.restore(droppedMismatched);
    droppedOfAnotherSampler = state.droppedOfAnotherSampler();
    ofAnotherSampler.restore(droppedOfAnotherSampler);
    learned = state.learned();
    droppedStale = state.droppedStale();
    stale.restore(droppedStale);
    heldOutRollouts = state.heldOutRollouts();
    afterStop = state.afterStop();
    afterEarlyStop.restore(afterStop);
    stoppedUpdates = state.stoppedUpdates();
    version = state.version();
    publishedIteration = state.publishedIteration();
    lastMetrics = new HashMap<>(state.lastMetrics());
    earlyStop.restore(state.earlyStop());
    monitor.restore(state.monitor());
    logProbMetrics = state.logProbMetrics();
    if (state.training()) {
      // The trainer reads the critic's weights from its own state.
      trainer = newTrainer(state.hasCritic() ? zeros(state) : null);
      if (lead == null) {
        trainer.read(in);
      } else {
        lead.read(trainer, in);
      }
    }
    long unpublished = trainer == null ? 0 : trainer.iteration() - publishedIteration;
    lineage.restore(
        state.lineage(), publishedIteration > 0 ? version : 0, unpublished * section().batchSize());
    boolean busy = trainer != null && trainer.busy();
    List<ScoredRollout> inbox = batch.restore(state.batch(), state.groups(), busy);
    consumed -= inbox.size();
    inbox.addAll(state.inbox());
    restoreInbox(inbox, batch.held() + (busy ? trainer.pending() : batch.rollouts().size()));
  }

  private ScalarModel zeros(State state) {
    String config = state.critic() == null ? policy.model().config().toJson() : state.critic();
    return PpoTrainers.zeroCritic(backend, policy.model(), config, state.criticAdapter());
  }

  @Override
  public void closeModels() {
    if (lead != null) {
      lead.close();
    }
    if (trainer != null) {
      Closing.closeAll(trainer, policy.tokenizer(), backend);
    } else {
      Closing.closeAll(policy, backend);
    }
  }
}
