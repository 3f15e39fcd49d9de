package io.millrace.jobs.evaluation;

import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.avro.reflect.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates policy versions one after another, in small steps. Another thread adds announcements to
 * the {@link EvaluationQueue}; everything else belongs to the thread that calls {@link
 * #evaluateNext}.
 *
 * <p>Reward models change only between two evaluations. After a change the served version is
 * compared once more with the version served before it.
 */
final class Evaluator {

  private static final Logger LOG = LoggerFactory.getLogger(Evaluator.class);
  private static final String JOB = "evaluation";

  /** Takes the records to emit. */
  interface Outlet {
    void emit(Promotion promotion);

    void emit(TrainingMetrics metrics);
  }

  private final String model;
  private final EvaluationQueue queue;
  private final VersionMeasurer measurer;
  private final RewardScorer rewards;
  private final BatchedJudge judge;
  private final VersionVerdicts gate;
  private final Outlet outlet;

  // State.
  private final TreeMap<Long, EvaluatedVersion> versions = new TreeMap<>();
  private final TreeMap<Long, VersionVerdict> verdicts = new TreeMap<>();
  private PromotionChain chain = PromotionChain.empty();
  private long retired;

  /** Whether the served version was compared with the one before by the latest reward models. */
  private boolean rechecked = true;

  /** The evaluation in progress, or null. */
  private Evaluation current;

  Evaluator(
      String model,
      VersionMeasurer measurer,
      RewardScorer rewards,
      BatchedJudge judge,
      VersionVerdicts gate,
      Outlet outlet) {
    this.model = model;
    this.queue = new EvaluationQueue(model);
    this.measurer = measurer;
    this.rewards = rewards;
    this.judge = judge;
    this.gate = gate;
    this.outlet = outlet;
  }

  /** The queue for announcements. */
  EvaluationQueue queue() {
    return queue;
  }

  /**
   * Continues from earlier runs' promotions. The promoted versions are measured again and not
   * judged again.
   */
  void continueFrom(PromotionChain promotions) {
    chain = promotions;
    promotions.versions().forEach(queue::add);
  }

  /**
   * Does one step: a batch of one version, or one announcement.
   *
   * @param mayBegin whether a new evaluation may begin; false while more reward models are to come
   * @return false if there was nothing to do
   */
  boolean evaluateNext(boolean mayBegin) throws IOException, InterruptedException {
    Optional<Promotion> decision = queue.nextDecision();
    if (decision.isPresent()) {
      decide(decision.get());
      return true;
    }
    boolean ready = rewards.pair().isPresent() || !judge.needsRewardModels();
    if (current != null && ready) {
      continueEvaluation();
      return true;
    }
    Optional<RewardCheckpoint> rewardModel = queue.nextRewardModel();
    if (rewardModel.isPresent()) {
      use(rewardModel.get());
      return true;
    }
    if (!mayBegin || !ready) {
      return false;
    }
    if (!rechecked) {
      beginRecheck();
      return true;
    }
    Optional<ModelRef> version = queue.nextVersion();
    version.ifPresent(this::begin);
    return version.isPresent();
  }

  /**
   * Serves what a person has decided. Confirms the decision, because an earlier verdict may come
   * after it in the topic. The evaluation in progress begins anew when the served version is
   * measured, because it compares with that version. A recheck that waits or is in progress is
   * dropped: only reward models that come after the decision may withdraw what a person chose.
   */
  private void decide(Promotion decision) {
    if (!chain.decide(decision)) {
      return;
    }
    LOG.info(
        "Version {} of {} is served by decision of {}: {}",
        decision.getVersion(),
        model,
        decision.getDecidedBy(),
        String.join("; ", decision.getReasons()));
    if (current != null && !current.isRecheck()) {
      queue.addFirst(current.subject().model());
    }
    current = null;
    rechecked = true;
    if (!versions.containsKey(decision.getVersion())) {
      chain.current().ifPresent(queue::addFirst);
    }
    outlet.emit(
        Promotion.newBuilder(decision)
            .setBefore(chain.before().map(ModelRef::version).orElse(0L))
            .setTime(Instant.now())
            .build());
  }

  private void use(RewardCheckpoint announced) throws IOException {
    if (!rewards.use(announced)) {
      return;
    }
    rechecked = false;
    Objective objective = announced.getObjective();
    String prefix = "reward_model/" + VersionVerdicts.name(objective) + "/";
    Map<String, Double> metrics = new TreeMap<>();
    rewards
        .metricsOnJudgments(objective, ModelRef.of(announced), judge.piecewise())
        .forEach((name, value) -> metrics.put(prefix + name, value));
    if (!metrics.isEmpty()) {
      metrics.put(prefix + "version", (double) announced.getVersion());
      metrics.put(prefix + "judgments", (double) announced.getJudgments());
      outlet.emit(Outputs.metrics(JOB, announced.getVersion(), metrics, Instant.now()));
    }
  }

  private void beginRecheck() {
    rechecked = true;
    while (chain.before().filter(ModelRef::isRetired).isPresent()) {
      chain.remove(chain.before().orElseThrow().version());
    }
    Optional<EvaluatedVersion> served = chain.current().map(one -> versions.get(one.version()));
    Optional<EvaluatedVersion> before = chain.before().map(one -> versions.get(one.version()));
    if (served.isPresent() && before.isPresent()) {
      current = Evaluation.recheck(served.get());
      if (judge.needsRewardModels()) {
        current.compareWith(before.get().version());
      }
    }
  }

  private void begin(ModelRef version) {
    if (isJudged(version.version()) && !isReferred(version.version())) {
      return;
    }
    if (version.isRetired()) {
      LOG.warn("Version {} of {} was retired before it was evaluated", version.version(), model);
      retired++;
      chain.remove(version.version());
      return;
    }
    current = Evaluation.ofNew(new EvaluatedVersion(version));
  }

  /** Whether this run or an earlier one published its verdict. */
  private boolean isJudged(long version) {
    return version <= chain.judged() || verdicts.containsKey(version);
  }

  /** Whether later versions are compared with it. */
  private boolean isReferred(long version) {
    return version == queue.first() || version == chain.judged() || chain.contains(version);
  }

  private void continueEvaluation() throws IOException, InterruptedException {
    EvaluatedVersion subject = current.subject();
    if (!current.isRecheck()) {
      if (measurer.measureNext(subject)) {
        return;
      }
      if (isJudged(subject.version())) {
        keep(subject);
        current = null;
        return;
      }
      if (!current.hasComparisons()) {
        others(subject).forEach(current::compareWith);
      }
    }
    List<EvaluatedVersion> involved = involved();
    for (EvaluatedVersion version : involved) {
      if (rewards.isDue(version)) {
        rewards.score(version);
        if (judge.needsRewardModels()) {
          version.clearLabels();
        }
        return;
      }
    }
    if (!current.judgeNext(judge, involved, versions)) {
      decide();
    }
  }

  /** The version that all others are compared with: the first one, or the oldest known. */
  private long first() {
    return versions.isEmpty() || versions.containsKey(queue.first())
        ? queue.first()
        : versions.firstKey();
  }

  /** The versions to compare a new version with: the first, the previous and the served one. */
  private TreeSet<Long> others(EvaluatedVersion subject) {
    TreeSet<Long> others = new TreeSet<>();
    if (!versions.isEmpty()) {
      others.add(first());
      Optional.ofNullable(versions.lowerKey(subject.version())).ifPresent(others::add);
      chain
          .rival(subject.version())
          .map(ModelRef::version)
          .filter(versions::containsKey)
          .ifPresent(others::add);
    }
    return others;
  }

  /** The versions that the current evaluation needs scores and labels of, its subject first. */
  private List<EvaluatedVersion> involved() {
    List<EvaluatedVersion> involved = new ArrayList<>(List.of(current.subject()));
    if (current.isRecheck()) {
      chain.before().ifPresent(before -> involved.add(versions.get(before.version())));
    }
    current.others().stream()
        .map(versions::get)
        .filter(version -> !involved.contains(version))
        .forEach(involved::add);
    return involved;
  }

  private void decide() {
    EvaluatedVersion subject = current.subject();
    if (current.isRecheck()) {
      gate.rollback(subject, versions, chain, current.winRates())
          .ifPresent(
              rollback -> {
                chain.rollBack();
                publish(rollback);
              });
    } else {
      VersionVerdict verdict =
          gate.verdict(
              subject, versions, first(), chain, current.winRates(), current.judgeFailure());
      if (verdict.isPromoted()) {
        chain.promote(subject.model());
      }
      publish(verdict);
      keep(subject);
    }
    current = null;
  }

  private void publish(VersionVerdict verdict) {
    verdicts.put(verdict.evaluated(), verdict);
    Map<String, Double> metrics = gate.metrics(verdict, chain, rewards.pair());
    LOG.info(
        "Version {} of {}: {}: {}",
        verdict.evaluated(),
        model,
        verdict.verdict(),
        String.join("; ", verdict.reasons()));
    outlet.emit(Outputs.metrics(JOB, verdict.evaluated(), metrics, Instant.now()));
    Optional<ModelRef> serve = chain.current();
    outlet.emit(
        Promotion.newBuilder()
            .setModel(model)
            .setVersion(serve.map(ModelRef::version).orElse(0L))
            .setVerdict(verdict.verdict())
            .setEvaluated(verdict.evaluated())
            .setUri(serve.map(ModelRef::uri).orElse(""))
            .setManifestSha256(serve.map(ModelRef::manifestSha256).orElse(""))
            .setBefore(chain.before().map(ModelRef::version).orElse(0L))
            .setReasons(verdict.reasons())
            .setMetrics(metrics)
            .setTime(Instant.now())
            .build());
  }

  /** Keeps a version for later comparisons, and drops versions that are not needed any more. */
  private void keep(EvaluatedVersion subject) {
    versions.put(subject.version(), subject);
    long first = first();
    long previous = versions.lastKey();
    versions
        .keySet()
        .removeIf(version -> version != first && version != previous && !chain.contains(version));
  }

  /** The last verdict of this run on each version, by version. */
  List<VersionVerdict> verdicts() {
    return List.copyOf(verdicts.values());
  }

  /** Counts and verdicts for the summary of the run. */
  Map<String, Double> summary() {
    Map<String, Double> summary = new TreeMap<>();
    summary.put("evaluated", (double) verdicts.size());
    summary.put("promoted_version", (double) chain.current().map(ModelRef::version).orElse(0L));
    summary.put("retired", (double) retired);
    summary.put("duplicates", (double) queue.duplicates());
    summary.put("waiting", (double) queue.waiting());
    verdicts.forEach((version, verdict) -> summary.put("verdicts/" + version, verdict.code()));
    return summary;
  }

  private record State(
      EvaluationQueue.State queue,
      List<EvaluatedVersion.State> versions,
      List<VersionVerdict> verdicts,
      PromotionChain.State chain,
      long retired,
      boolean rechecked,
      @Nullable Evaluation.State current) {}

  void write(StateWriter out) throws IOException {
    rewards.write(out);
    out.write(
        new State(
            queue.state(),
            versions.values().stream().map(EvaluatedVersion::state).toList(),
            verdicts(),
            chain.state(),
            retired,
            rechecked,
            current == null ? null : current.state()));
  }

  /** Restores what {@link #write} wrote. */
  void read(StateReader in) throws IOException {
    rewards.read(in);
    State state = in.read(State.class);
    queue.restore(state.queue());
    state.versions().stream()
        .map(EvaluatedVersion::of)
        .forEach(one -> versions.put(one.version(), one));
    state.verdicts().forEach(one -> verdicts.put(one.evaluated(), one));
    chain = PromotionChain.of(state.chain());
    retired = state.retired();
    rechecked = state.rechecked();
    current = state.current() == null ? null : Evaluation.of(state.current(), versions);
  }
}
