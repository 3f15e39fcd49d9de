package io.millrace.jobs.evaluation;

import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.LatestRewardModels;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.WinRate;
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
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates policy versions one after another, in small steps. Another thread adds announcements to
 * the {@link EvaluationQueue}; everything else belongs to the thread that calls {@link
 * #evaluateNext}.
 *
 * <p>An evaluation takes one look or several. Each look answers the next held-out prompts with
 * every version that it compares, so no version is chosen for its luck on the same prompts.
 *
 * <p>Reward models change only between two evaluations. After a change the served version is
 * compared once more with the version served before it.
 */
final class Evaluator {

  private static final Logger LOG = LoggerFactory.getLogger(Evaluator.class);
  static final String JOB = "evaluation";

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
  private final KnownVersions versions = new KnownVersions();
  private final PublishedVerdicts verdicts;
  private PromotionChain chain = PromotionChain.empty();
  private long retired;
  private long rechecks;

  /** The test of the served version, or null. */
  private ServedCheck served;

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
    this.verdicts = new PublishedVerdicts(model, gate, outlet);
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
    promotions.best().ifPresent(queue::add);
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
    served = null;
    rechecked = true;
    if (!versions.contains(decision.getVersion())) {
      chain.current().ifPresent(queue::addFirst);
    }
    outlet.emit(
        Promotion.newBuilder(decision)
            .setBefore(chain.before().map(ModelRef::version).orElse(0L))
            .setBest(chain.best().map(ModelRef::version).orElse(0L))
            .setMetrics(chain.counters().byName())
            .setTime(Instant.now())
            .build());
  }

  private void use(RewardCheckpoint announced) throws IOException {
    if (!rewards.use(announced)) {
      return;
    }
    rechecked = false;
    Objective objective = announced.getObjective();
    String prefix =
        "reward_model/%s/"
            .formatted(AnnouncementCheck.rewardModelRole(objective, announced.getJudge()));
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
    Optional<Long> now = chain.current().map(ModelRef::version).filter(versions::isUsable);
    Optional<Long> before = chain.before().map(ModelRef::version).filter(versions::isUsable);
    if (now.isEmpty() || before.isEmpty()) {
      return;
    }
    if (served == null
        || !served.isOf(now.get(), before.get())
        || served.looks() >= gate.maxLooks()) {
      chain.count(chain.counters().withWithdrawal());
      served = ServedCheck.begin(now.get(), before.get(), chain.counters().withdrawals());
    }
    rechecks++;
    current = Evaluation.recheck(versions.get(now.get()));
    current.look(nextRound(), judge.needsRewardModels() ? List.of(before.get()) : List.<Long>of());
  }

  private long nextRound() {
    long round = chain.counters().rounds();
    chain.count(chain.counters().withRound());
    return round;
  }

  private void begin(ModelRef version) {
    boolean judged = isJudged(version.version());
    if (judged && !isReferred(version.version())) {
      return;
    }
    if (version.isRetired()) {
      LOG.warn("Version {} of {} was retired before it was evaluated", version.version(), model);
      retired++;
      chain.remove(version.version());
      return;
    }
    if (judged) {
      versions.add(version);
      return;
    }
    while (chain.best().filter(ModelRef::isRetired).isPresent()
        && chain.best().filter(best -> chain.isServed(best.version())).isEmpty()) {
      chain.remove(chain.best().orElseThrow().version());
    }
    EvaluatedVersion subject = new EvaluatedVersion(version);
    boolean compared = rivals(subject).promoted().isPresent();
    if (compared) {
      chain.count(chain.counters().withPromotion());
    }
    current = Evaluation.ofNew(subject, compared ? chain.counters().promotions() : 0);
    current.look(nextRound(), versions.usable(rivals(subject)));
  }

  /** Whether this run or an earlier one published its verdict. */
  private boolean isJudged(long version) {
    return version <= chain.judged() || verdicts.contains(version);
  }

  /** Whether later versions are compared with it. */
  private boolean isReferred(long version) {
    return version == queue.first() || chain.needs(version);
  }

  private void continueEvaluation() throws IOException, InterruptedException {
    List<EvaluatedVersion> involved = involved();
    for (EvaluatedVersion version : involved) {
      version.answer(current.round());
      if (!measurer.isMeasured(version)) {
        measurer.measureNext(version);
        return;
      }
    }
    measurer.close();
    for (EvaluatedVersion version : involved) {
      if (rewards.isDue(version)) {
        rewards.score(version);
        if (judge.needsRewardModels()) {
          version.clearLabels();
        }
        return;
      }
    }
    if (!current.judgeNext(judge, involved, versions.all())) {
      decide(involved);
    }
  }

  private VersionVerdicts.Rivals rivals(EvaluatedVersion subject) {
    return versions.rivals(subject, chain, queue.first());
  }

  /** The versions that the current evaluation needs scores and labels of, its subject first. */
  private List<EvaluatedVersion> involved() {
    List<EvaluatedVersion> involved = new ArrayList<>(List.of(current.subject()));
    if (current.isRecheck()) {
      involved.add(versions.get(served.evidence().other()));
    }
    current.others().stream()
        .map(versions::get)
        .filter(version -> !involved.contains(version))
        .forEach(involved::add);
    return involved;
  }

  private void decide(List<EvaluatedVersion> involved) {
    EvaluatedVersion subject = current.subject();
    Map<Long, LabelCounts> beside = new TreeMap<>();
    for (EvaluatedVersion other : involved.subList(1, involved.size())) {
      beside.put(other.version(), gate.labelsBeside(subject, other));
    }
    current.add(gate.labels(subject), beside, versions.all());
    if (current.isRecheck()) {
      decideRecheck();
      current = null;
      return;
    }
    VersionVerdicts.Rivals rivals = rivals(subject);
    VersionVerdict verdict =
        gate.verdict(current, versions.all(), rivals, chain.isServed(subject.version()));
    if (verdict.isPromoted()) {
      chain.promote(subject.model());
      boolean better = rivals.best().map(best -> gate.isBetter(current, best)).orElse(true);
      if (better) {
        chain.servedIsBest();
      }
    }
    verdicts.publish(verdict, chain, rewards);
    if (verdict.isOpen()) {
      current.look(nextRound(), versions.usable(rivals(subject)));
    } else {
      versions.keep(subject, chain, queue.first());
      current = null;
    }
  }

  private void decideRecheck() {
    served = served.plus(current.evidence(served.evidence().other()));
    Optional<VersionVerdict> rollback = gate.rollback(current.subject(), served);
    if (rollback.isPresent()) {
      chain.rollBack();
      served = null;
      verdicts.publish(rollback.get(), chain, rewards);
      return;
    }
    WinRate rate = served.evidence().winRate();
    LOG.info(
        "Version {} of {} stays after look {} of {} at it: {} wins, {} ties and {} losses against"
            + " version {}",
        served.served(),
        model,
        served.looks(),
        gate.maxLooks(),
        rate.wins(),
        rate.ties(),
        rate.losses(),
        served.evidence().other());
  }

  /** A version that later versions are compared with. */
  Optional<EvaluatedVersion> known(long version) {
    return Optional.ofNullable(versions.get(version));
  }

  /** The last verdict of this run on each version, by version. */
  List<VersionVerdict> verdicts() {
    return verdicts.all();
  }

  /** Counts and verdicts for the summary of the run. */
  Map<String, Double> summary() {
    Map<String, Double> summary = new TreeMap<>();
    summary.put("promoted_version", (double) chain.current().map(ModelRef::version).orElse(0L));
    summary.put("retired", (double) retired);
    summary.put("duplicates", (double) queue.duplicates());
    summary.put("waiting", (double) queue.waiting());
    summary.put("rechecks", (double) rechecks);
    verdicts.putSummary(summary);
    return summary;
  }

  private record State(
      EvaluationQueue.State queue,
      List<EvaluatedVersion.State> versions,
      List<VersionVerdict> verdicts,
      PromotionChain.State chain,
      long retired,
      boolean rechecked,
      @Nullable Evaluation.State current,
      @AvroDefault("0") long rechecks,
      @Nullable @AvroDefault("null") ServedCheck served,
      @Nullable @AvroDefault("null") LatestRewardModels.State judges) {}

  void write(StateWriter out) throws IOException {
    rewards.write(out);
    out.write(
        new State(
            queue.state(),
            versions.state(),
            verdicts(),
            chain.state(),
            retired,
            rechecked,
            current == null ? null : current.state(),
            rechecks,
            served,
            rewards.judgesState()));
  }

  /** Restores what {@link #write} wrote. */
  void read(StateReader in) throws IOException {
    rewards.read(in);
    State state = in.read(State.class);
    queue.restore(state.queue());
    versions.restore(state.versions());
    verdicts.restore(state.verdicts());
    chain = PromotionChain.of(state.chain());
    retired = state.retired();
    rechecked = state.rechecked();
    rechecks = state.rechecks();
    served = state.served();
    if (state.judges() != null) {
      rewards.restoreJudges(state.judges());
    }
    if (state.current() == null) {
      return;
    }
    if (Evaluation.isWithoutRound(state.current())) {
      // An earlier version of Millrace was in the middle of it: it begins anew.
      rechecked &= !state.current().recheck();
      if (!state.current().recheck()) {
        queue.addFirst(state.current().subject().model());
      }
    } else {
      current = Evaluation.of(state.current(), versions.all());
    }
  }
}
