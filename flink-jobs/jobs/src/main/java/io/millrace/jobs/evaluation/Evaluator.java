package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.evaluation.EvaluatedVersion.Version;
import io.millrace.jobs.evaluation.VersionVerdicts.Given;
import io.millrace.jobs.runtime.Outlet;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.TrainingMetrics;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates one version after another, in pieces. Announcements wait in an {@link EvaluationQueue},
 * which another thread fills; all else belongs to the thread that calls {@link #advance}.
 *
 * <p>Reward models change between two evaluations only. When they have, what is served is compared
 * once more with what was served before it.
 */
public final class Evaluator {

  private static final Logger LOG = LoggerFactory.getLogger(Evaluator.class);
  private static final String JOB = "evaluation";

  /** Takes what is to be emitted. */
  interface Outlet {
    void emit(Promotion promotion);

    void emit(TrainingMetrics metrics);
  }

  private final String model;
  private final EvaluationQueue queue;
  private final VersionMeasurer measurer;
  private final RewardScorer rewards;
  private final VersionComparison.Bench bench;
  private final VersionVerdicts verdicts;
  private final Outlet outlet;

  // State.
  private final TreeMap<Long, EvaluatedVersion> versions = new TreeMap<>();
  private final TreeMap<Long, Given> given = new TreeMap<>();
  private PromotionChain chain = PromotionChain.empty();
  private long retired;

  /** Whether the served version was compared with the one before by the reward models in use. */
  private boolean rechecked = true;

  /** The version that is evaluated, or whose place at the top is looked at again; or null. */
  private EvaluatedVersion subject;

  private boolean recheck;
  private List<VersionComparison> comparisons = new ArrayList<>();
  private String judgeFailure = "";

  public Evaluator(
      String model,
      VersionMeasurer measurer,
      RewardScorer rewards,
      VersionComparison.Bench bench,
      VersionVerdicts verdicts,
      Outlet outlet) {
    this.model = model;
    this.queue = new EvaluationQueue(model);
    this.measurer = measurer;
    this.rewards = rewards;
    this.bench = bench;
    this.verdicts = verdicts;
    this.outlet = outlet;
  }

  /** Where announcements are taken in. */
  public EvaluationQueue queue() {
    return queue;
  }

  /** Goes on from what earlier runs said: their versions are measured, and not judged again. */
  void goOnFrom(PromotionChain before) {
    chain = before;
    before.versions().forEach(queue::add);
  }

  /**
   * Does the next piece.
   *
   * @param mayBegin whether versions may be begun with, all reward models there are being known
   * @return false, having done nothing, where there is nothing to do
   */
  boolean advance(boolean mayBegin) throws IOException, InterruptedException {
    boolean ready = rewards.isComplete() || !bench.judge().needsRewardModels();
    if (subject != null && ready) {
      step();
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
    Optional<Version> version = queue.nextVersion();
    version.ifPresent(this::begin);
    return version.isPresent();
  }

  private void use(RewardCheckpoint announced) throws IOException {
    if (CheckpointStore.isRetired(announced.getUri())) {
      // A later one is announced, or will be.
      return;
    }
    rewards.use(announced);
    rechecked = false;
    Objective objective = announced.getObjective();
    String prefix = "reward_model/" + VersionVerdicts.name(objective) + "/";
    Map<String, Double> figures = new TreeMap<>();
    rewards
        .onJudgments(objective, bench.piecewise())
        .forEach((name, value) -> figures.put(prefix + name, value));
    if (!figures.isEmpty()) {
      figures.put(prefix + "version", (double) announced.getVersion());
      figures.put(prefix + "judgments", (double) announced.getJudgments());
      outlet.emit(Outputs.metrics(JOB, announced.getVersion(), figures, Instant.now()));
    }
  }

  private void beginRecheck() {
    rechecked = true;
    while (chain.before().filter(before -> CheckpointStore.isRetired(before.uri())).isPresent()) {
      chain.forget(chain.before().orElseThrow().number());
    }
    Optional<EvaluatedVersion> served = chain.current().map(v -> versions.get(v.number()));
    Optional<EvaluatedVersion> before = chain.before().map(v -> versions.get(v.number()));
    if (served.isPresent() && before.isPresent()) {
      subject = served.get();
      recheck = true;
      comparisons = new ArrayList<>();
      if (bench.judge().needsRewardModels()) {
        comparisons.add(new VersionComparison(before.get().number()));
      }
    }
  }

  private void begin(Version version) {
    if (isKnown(version.number()) && !isNeeded(version.number())) {
      return;
    }
    if (CheckpointStore.isRetired(version.uri())) {
      LOG.warn("version {} of {} was retired before it was evaluated", version.number(), model);
      retired++;
      chain.forget(version.number());
      return;
    }
    subject = new EvaluatedVersion(version);
    recheck = false;
  }

  /** Whether an earlier run gave its verdict. */
  private boolean isKnown(long version) {
    return version <= chain.judged();
  }

  /** Whether later versions are compared with it. */
  private boolean isNeeded(long version) {
    return version == queue.first() || version == chain.judged() || chain.contains(version);
  }

  private void step() throws IOException, InterruptedException {
    if (!recheck) {
      if (measurer.advance(subject)) {
        return;
      }
      if (isKnown(subject.number())) {
        remember();
        return;
      }
      if (comparisons.isEmpty()) {
        others().forEach(other -> comparisons.add(new VersionComparison(other)));
      }
    }
    for (EvaluatedVersion version : compared()) {
      if (rewards.isDue(version)) {
        rewards.score(version);
        if (bench.judge().needsRewardModels()) {
          version.labels.clear();
        }
        return;
      }
    }
    if (judgeFailure.isEmpty() && judge()) {
      return;
    }
    decide();
  }

  /** The version that all others are compared with: the first, unless it is gone. */
  private long first() {
    return versions.isEmpty() || versions.containsKey(queue.first())
        ? queue.first()
        : versions.firstKey();
  }

  /** The versions that the subject is compared with. */
  private TreeSet<Long> others() {
    TreeSet<Long> others = new TreeSet<>();
    if (!versions.isEmpty()) {
      others.add(first());
      Optional.ofNullable(versions.lowerKey(subject.number())).ifPresent(others::add);
      chain.current().map(Version::number).filter(versions::containsKey).ifPresent(others::add);
    }
    return others;
  }

  private List<EvaluatedVersion> compared() {
    List<EvaluatedVersion> compared = new ArrayList<>(List.of(subject));
    if (recheck) {
      chain.before().ifPresent(before -> compared.add(versions.get(before.number())));
    }
    comparisons.stream()
        .map(comparison -> versions.get(comparison.other()))
        .filter(version -> !compared.contains(version))
        .forEach(compared::add);
    return compared;
  }

  /** Asks the judge for one more batch; false where it has said everything. */
  private boolean judge() throws InterruptedException {
    try {
      for (EvaluatedVersion version : compared()) {
        if (bench.label(version)) {
          return true;
        }
      }
      for (VersionComparison comparison : comparisons) {
        if (bench.compare(comparison, subject, versions.get(comparison.other()))) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      LOG.warn("the judge of version {} of {} fails", subject.number(), model, e);
      judgeFailure = e.getMessage();
      // What is half labelled is asked for anew with the next version.
      compared().stream()
          .filter(version -> version.labels.size() < bench.questions().size())
          .forEach(version -> version.labels.clear());
      return true;
    }
  }

  private void decide() {
    TreeMap<Long, WinRate> rates = new TreeMap<>();
    if (judgeFailure.isEmpty()) {
      comparisons.forEach(comparison -> rates.put(comparison.other(), comparison.winRate()));
    }
    if (recheck) {
      verdicts
          .withdrawal(subject, versions, chain, rates)
          .ifPresent(
              withdrawn -> {
                chain.rollBack();
                publish(withdrawn);
              });
      subject = null;
    } else {
      Given verdict = verdicts.on(subject, versions, first(), chain, rates, judgeFailure);
      if (verdict.isPromoted()) {
        chain.promote(subject.version());
      }
      publish(verdict);
      remember();
    }
    comparisons = new ArrayList<>();
    judgeFailure = "";
  }

  private void publish(Given verdict) {
    given.put(verdict.evaluated(), verdict);
    Map<String, Double> metrics =
        verdicts.figures(verdict, chain, rewards.isComplete() ? rewards.inUse() : List.of());
    LOG.info(
        "version {} of {}: {}: {}",
        verdict.evaluated(),
        model,
        verdict.verdict(),
        String.join("; ", verdict.reasons()));
    outlet.emit(Outputs.metrics(JOB, verdict.evaluated(), metrics, Instant.now()));
    Optional<Version> serve = chain.current();
    outlet.emit(
        Promotion.newBuilder()
            .setModel(model)
            .setVersion(serve.map(Version::number).orElse(0L))
            .setVerdict(verdict.verdict())
            .setEvaluated(verdict.evaluated())
            .setUri(serve.map(Version::uri).orElse(""))
            .setManifestSha256(serve.map(Version::manifestSha256).orElse(""))
            .setBefore(chain.before().map(Version::number).orElse(0L))
            .setReasons(verdict.reasons())
            .setMetrics(metrics)
            .setTime(Instant.now())
            .build());
  }

  /** Keeps the subject as the previous version, and of the others what is still compared with. */
  private void remember() {
    versions.put(subject.number(), subject);
    long first = first();
    long previous = versions.lastKey();
    versions
        .keySet()
        .removeIf(version -> version != first && version != previous && !chain.contains(version));
    subject = null;
  }

  /** Verdicts of this run, by version; the last one on each. */
  List<Given> given() {
    return List.copyOf(given.values());
  }

  /** Closing figures. */
  Map<String, Double> summary() {
    Map<String, Double> summary = new TreeMap<>();
    summary.put("evaluated", (double) given.size());
    summary.put("promoted_version", (double) chain.current().map(Version::number).orElse(0L));
    summary.put("retired", (double) retired);
    summary.put("duplicates", (double) queue.duplicates());
    summary.put("waiting", (double) queue.waiting());
    given.forEach(
        (version, verdict) -> summary.put("verdicts/" + version, VersionVerdicts.code(verdict)));
    return summary;
  }

  void write(DataOutput out) throws IOException {
    queue.write(out);
    EvaluationQueue.writeRewardModels(out, rewards.inUse());
    StateIo.writeList(out, List.copyOf(versions.values()), (stream, one) -> one.write(stream));
    StateIo.writeList(out, List.copyOf(given.values()), (stream, one) -> one.write(stream));
    chain.write(out);
    out.writeLong(retired);
    out.writeBoolean(rechecked);
    out.writeBoolean(recheck);
    out.writeBoolean(subject != null);
    if (subject != null) {
      subject.write(out);
    }
    StateIo.writeList(out, comparisons, (stream, one) -> one.write(stream));
    StateIo.writeText(out, judgeFailure);
  }

  /** Restores what {@link #write} wrote. */
  void read(DataInput in) throws IOException {
    queue.read(in);
    // A reward model of a state that is older than what the store keeps: a later one comes.
    EvaluationQueue.readRewardModels(in).stream()
        .filter(one -> !CheckpointStore.isRetired(one.getUri()))
        .forEach(rewards::use);
    StateIo.readList(in, EvaluatedVersion::read).forEach(one -> versions.put(one.number(), one));
    StateIo.readList(in, Given::read).forEach(one -> given.put(one.evaluated(), one));
    chain = PromotionChain.read(in);
    retired = in.readLong();
    rechecked = in.readBoolean();
    recheck = in.readBoolean();
    if (in.readBoolean()) {
      EvaluatedVersion read = EvaluatedVersion.read(in);
      // What is served is one of the versions, not a second copy of it.
      subject = recheck ? versions.get(read.number()) : read;
    }
    comparisons = StateIo.readList(in, VersionComparison::read);
    judgeFailure = StateIo.readText(in);
  }
}
