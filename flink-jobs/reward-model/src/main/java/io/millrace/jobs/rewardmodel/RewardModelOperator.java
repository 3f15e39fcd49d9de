package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.LearnedRecords;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.MixedBatches;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergenceGuard;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains one reward model. Every judgment is scored before the model learns from it, so accuracy,
 * margins and calibration are held-out metrics. A batch keeps the ratio of its sources by
 * {@linkplain MixedBatches replaying} judgments. Replayed judgments count in no metric.
 */
public final class RewardModelOperator extends TrainingOperator<Opinion, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(RewardModelOperator.class);

  /** Accumulator: warnings for the summary of a run, one text each. */
  static final String WARNINGS = "warnings";

  private static final String ANNOTATORS = "-annotators";

  private final RuntimeSettings settings;
  private final Objective objective;
  private final boolean judge;
  private final Clock clock;

  private transient Backend backend;
  private transient PolicyModel initial;
  private transient RewardModelTrainer trainer;
  private transient JudgmentTokens tokens;
  private transient Publisher publisher;
  private transient DivergenceGuard guard;
  private transient boolean warned;

  /** Judgments that were dropped from those held back, for the job's status. */
  private transient LongCounter dropped;

  /** Whether the incomplete batch has waited for {@code reward-model.max-wait}. */
  private transient volatile boolean overdue;

  /** Whether the shuffle buffer keeps nothing back any more. */
  private transient volatile boolean inputEnded;

  // State.
  private transient JudgmentBatches batches;
  private transient RewardModelMetrics heldOut;
  private transient JudgmentViews views;
  private transient HeldOutJudgments withheld;
  private transient AnchorResponses anchors;
  private transient Annotators annotators;
  private transient LearnedRecords lineage;
  private transient LabelledResponses labelled;
  private transient LearnedRecords feedbackLineage;
  private transient long consumed;
  private transient long learned;
  private transient long skippedUpdates;
  private transient long replaced;
  private transient long publishedAt;
  private transient volatile long version;
  private transient double lastLoss;

  /**
   * @param judge whether the reward model judges policy versions and PPO does not optimise it
   * @param clock gives published records their time, and measures how long a judgment waits for its
   *     update; it is sent with the job and must be serializable
   */
  RewardModelOperator(MillraceConfig config, Objective objective, boolean judge, Clock clock) {
    this.settings = new RuntimeSettings(config);
    this.objective = objective;
    this.judge = judge;
    this.clock = clock;
  }

  /** The job's name on metrics and summaries. */
  public static String job(Objective objective) {
    return job(objective, false);
  }

  /** The name of a reward model that judges policy versions, or of one that PPO optimises. */
  public static String job(Objective objective, boolean judge) {
    return AnnouncementCheck.rewardModelName(objective, judge);
  }

  private String job() {
    return job(objective, judge);
  }

  /** The job's name on the metrics of each annotator and source. */
  static String annotatorsOf(String job) {
    return job + ANNOTATORS;
  }

  /** Whether metrics are those of annotators and sources, in whose names there is no end. */
  public static boolean isOfAnnotators(TrainingMetrics metrics) {
    return metrics.getJob().endsWith(ANNOTATORS);
  }

  private RewardModelSection section() {
    return settings.config().section(RewardModelSection.class);
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    MillraceConfig config = settings.config();
    backend = settings.backend();
    initial = settings.initialPolicy(backend);
    ScalarModel model = settings.newRewardModel(backend, initial, section().heads());
    model.useMemory(settings.memory());
    trainer =
        new RewardModelTrainer(
            backend,
            model,
            section().optimizer().adamW(),
            section().schedule(objective, judge),
            section().labelWeight());
    tokens = new JudgmentTokens(initial.template());
    publisher = settings.publisher();
    guard = new DivergenceGuard("judgments");
    version = publisher.latestVersion(job(), Topic.REWARD_CHECKPOINTS, Topic.key(objective, judge));
    lineage = new LearnedRecords(job(), Topic.JUDGMENTS);
    lineage.startFrom(initial.name(), initial.version());
    feedbackLineage = new LearnedRecords(job(), Topic.FEEDBACK);
    feedbackLineage.startFrom(initial.name(), initial.version());
    batches =
        new JudgmentBatches(
            section(),
            new JudgmentSources(objective, section().of(objective).ratios()),
            config.model().seed());
    PiecewiseReward rule = config.section(PpoSection.class).piecewiseReward();
    heldOut = new RewardModelMetrics(objective, rule);
    views = new JudgmentViews(objective);
    HeldOut heldOutDialogues = new HeldOut(config.section(PpoSection.class).heldOutShare());
    withheld = new HeldOutJudgments(heldOutDialogues);
    labelled = new LabelledResponses(heldOutDialogues, section().batchSize());
    anchors =
        new AnchorResponses(objective, rule, section().anchorCount(), section().alarmAnchorShift());
    if (!section().anchors().isBlank()) {
      anchors.fix(JudgmentFile.anchors(config, objective), this::pair);
    }
    dropped = new LongCounter();
    annotators =
        new Annotators(
            objective, config.section(AnnotatorSection.class), GoldTasks.read(config, objective));
  }

  @Override
  public void open() throws Exception {
    getRuntimeContext()
        .addAccumulator(Totals.prefix(Topic.JUDGMENTS) + Totals.DROPPED + "held-back", dropped);
    super.open();
  }

  /** Withdrawn feedback counts there too. */
  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.JUDGMENTS);
  }

  @Override
  protected Provenance provenance(Opinion opinion) {
    return opinion.provenance();
  }

  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    // An anchor may be of a judgment that waits or is kept for replays, too.
    Set<Provenance> found = new HashSet<>();
    Predicate<Provenance> counted =
        from -> {
          boolean matches = withdrawn.test(from);
          if (matches) {
            found.add(from);
          }
          return matches;
        };
    super.removeWithdrawn(counted);
    removeJudgments(counted);
    labelled.removeIf(feedback -> counted.test(Provenance.of(feedback)));
    anchors.removeIf(counted);
    return found.size();
  }

  /** Removes judgments from all that the trainer keeps beside its inbox and the anchors. */
  private int removeJudgments(Predicate<Provenance> removed) {
    Predicate<Judgment> judgments = judgment -> removed.test(Provenance.of(judgment));
    return batches.removeIf(judgments)
        + withheld.removeIf(judgments)
        + annotators.removeIf(judgments);
  }

  @Override
  protected void forget(Withdrawal withdrawal) {
    if (withdrawal.getBy() == WithdrawnBy.ANNOTATOR) {
      annotators.remove(withdrawal.getName());
    }
  }

  /** Two batches, beside the judgments in the shuffle buffer and the queues by source. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected MetricGroup trainingMetricGroup() {
    return getMetricGroup()
        .addGroup("objective", AnnouncementCheck.rewardModelRole(objective, judge));
  }

  @Override
  protected long version() {
    return version;
  }

  @Override
  protected boolean work() throws IOException {
    if (isPublishDue()) {
      publish();
      return true;
    }
    boolean took = false;
    while (!batches.isDue() && !labelled.isDue()) {
      // Read before the inbox is polled: if the input has ended, an empty inbox stays empty.
      boolean ended = inputEnded;
      Opinion opinion = batches.hasRoom() ? poll() : null;
      if (opinion != null) {
        if (opinion.judgment() == null) {
          take(opinion.feedback());
        } else {
          take(opinion.judgment());
        }
        release(1);
        took = true;
      } else if (!batches.moveOne(ended)) {
        return stepIfOverdue() || took;
      }
    }
    step();
    return true;
  }

  private void take(Judgment judgment) {
    replaceFormer(judgment);
    if (!annotators.takeGoldTask(judgment)
        && !withheld.take(judgment)
        && !annotators.holdBack(judgment)) {
      batches.add(judgment);
    }
    countDropped();
    consumed++;
  }

  private void take(Feedback feedback) {
    Provenance next = Provenance.of(feedback);
    if (next.revision() > 0) {
      replaced += labelled.removeIf(former -> Provenance.of(former).isRevisedBy(next));
    }
    if (LabelledResponses.isLabelled(feedback) && section().labelWeight() > 0) {
      labelled.add(feedback);
    }
  }

  private void countDropped() {
    dropped.add(annotators.dropped() - dropped.getLocalValuePrimitive());
  }

  /** Removes the earlier revisions of a judgment; the weights keep what they learned from them. */
  private void replaceFormer(Judgment judgment) {
    Provenance next = Provenance.of(judgment);
    if (next.revision() > 0) {
      replaced += removeJudgments(former -> former.isRevisedBy(next));
      anchors.revise(judgment, this::pair);
    }
  }

  @Override
  protected void inputEnds() {
    inputEnded = true;
  }

  /** Learns from an incomplete batch that has waited for {@code reward-model.max-wait}. */
  private boolean stepIfOverdue() throws IOException {
    boolean waited = overdue;
    overdue = false;
    if (batches.waiting() + labelled.waiting() == 0 || section().maxWait().isZero()) {
      return false;
    }
    if (waited) {
      step();
      return true;
    }
    onTaskThread(
        () ->
            after(
                section().maxWait(),
                () -> {
                  overdue = true;
                  wake();
                }));
    return false;
  }

  private void step() {
    MixedBatches.Batch<Judgment> batch =
        batches.waiting() == 0 || (!batches.isDue() && labelled.isDue())
            ? new MixedBatches.Batch<>(List.of(), List.of())
            : batches.take();
    List<Judgment> fresh = batch.fresh();
    List<Feedback> feedback = labelled.take();
    learned += fresh.size() + feedback.size();
    List<Judgment> all = batch.all();
    List<RewardModelTrainer.Pair> pairs = new ArrayList<>(all.size());
    for (Judgment judgment : all) {
      double weight = annotators.weight(judgment);
      pairs.add(pair(judgment).withWeight(weight));
      if (weight > 0) {
        lineage.add(judgment.getJudgmentId());
      }
    }
    List<RewardModelTrainer.Labelled> labels =
        LabelledResponses.of(feedback, tokens, annotators::weight);
    for (int i = 0; i < feedback.size(); i++) {
      if (labels.get(i).weight() > 0) {
        feedbackLineage.add(feedback.get(i).getFeedbackId());
      }
    }
    // A judgment has two responses.
    double share = Math.min(1, (pairs.size() + labels.size() / 2.0) / section().batchSize());
    RewardModelTrainer.Step step = trainer.step(pairs, labels, position(), share);
    guard.check(
        step.loss() + step.labelLoss(),
        step.update(),
        () ->
            Stream.concat(
                    all.stream().map(Judgment::getJudgmentId),
                    feedback.stream().map(Feedback::getFeedbackId))
                .toList());
    for (int i = 0; i < fresh.size(); i++) {
      heldOut.add(fresh.get(i), step.preferredScores()[i], step.rejectedScores()[i]);
      views.add(fresh.get(i), step.preferredScores()[i], step.rejectedScores()[i]);
      if (fresh.get(i).getObjective() == objective) {
        anchors.offer(fresh.get(i), pairs.get(i));
      }
    }
    for (int i = 0; i < feedback.size(); i++) {
      heldOut.add(feedback.get(i), step.labelledScores()[i]);
    }
    annotators.add(fresh, step);
    holdSources();
    // A batch without any weight changes nothing, and has a gradient of 0.
    if (!step.update().applied() && !Double.isFinite(step.update().gradientNorm())) {
      skippedUpdates++;
    }
    Map<String, Double> metrics = metrics();
    if (!pairs.isEmpty()) {
      lastLoss = step.loss();
      metrics.put("loss", step.loss());
      metrics.put(
          "batch/weight",
          pairs.stream().mapToDouble(RewardModelTrainer.Pair::weight).average().orElseThrow());
    }
    metrics.put("label_loss", step.labelLoss());
    metrics.put("lr", step.update().learningRate());
    metrics.put("gradient_norm", step.update().gradientNorm());
    metrics.put("batch/fresh", (double) fresh.size());
    disagreement(step, fresh.size()).ifPresent(mean -> metrics.put("ensemble/disagreement", mean));
    metrics.put("batch/replayed", (double) batch.replayed().size());
    metrics.put("batch/feedback", (double) feedback.size());
    meanLatency(fresh).ifPresent(mean -> metrics.put("stream/judgment_latency_ms", mean));
    emitMetricsLater(Outputs.metrics(job(), trainer.steps(), metrics, clock.instant()));
  }

  /** Holds back the sources that are far below the others. Their judgments leave the batches. */
  private void holdSources() {
    for (Annotators.Held held : annotators.review()) {
      List<Judgment> waiting = batches.takeSource(held.source());
      waiting.forEach(annotators::holdBack);
      LOG.warn(
          "{}: source '{}' is held back: its judgments have weight {}, those of the other sources"
              + " {}. {} of its judgments wait. To learn from them, name it in"
              + " annotators.released-sources and start the job again",
          job(),
          Printable.line(held.source()),
          String.format(Locale.ROOT, "%.2f", held.weight()),
          String.format(Locale.ROOT, "%.2f", held.others()),
          waiting.size());
    }
  }

  private RewardModelTrainer.Pair pair(Judgment judgment) {
    return tokens.pair(judgment, section().margin(), objective == Objective.SAFETY);
  }

  /** Mean disagreement of the heads about the new judgments; empty for one head. */
  private static OptionalDouble disagreement(RewardModelTrainer.Step step, int fresh) {
    return IntStream.range(0, Math.min(fresh, step.disagreements().length))
        .mapToDouble(i -> step.disagreements()[i])
        .average();
  }

  /** Mean milliseconds from judgments' own time, where they have one, to their update. */
  private OptionalDouble meanLatency(List<Judgment> judgments) {
    long now = clock.millis();
    return judgments.stream()
        .mapToLong(judgment -> judgment.getTime().toEpochMilli())
        // A clock that is ahead measures no latency.
        .filter(time -> time > 0 && time <= now)
        .mapToDouble(time -> now - time)
        .average();
  }

  /** Held-out metrics and counts so far. */
  private Map<String, Double> metrics() {
    Map<String, Double> all = new HashMap<>(heldOut.byName());
    all.putAll(views.byName());
    all.putAll(withheld.byName());
    all.putAll(anchors.metrics());
    all.putAll(annotators.byName());
    if (objective == Objective.SAFETY) {
      all.putAll(labelled.byName());
    }
    all.put("judgments", (double) consumed);
    all.put("learned", (double) learned);
    all.put("skipped_updates", (double) skippedUpdates);
    all.put("replaced", (double) replaced);
    return all;
  }

  /** A version is due after publish-every judgments, and after the last one of a schedule. */
  private boolean isPublishDue() {
    long scheduled = section().scheduleJudgments(objective, judge);
    boolean scheduleEnded = publishedAt < scheduled && position() >= scheduled;
    return position() - publishedAt >= section().publishEvery() || scheduleEnded;
  }

  /** Judgments learned from; two labelled responses count as one, as each judgment has two. */
  private long position() {
    return learned - labelled.learned() + (labelled.learned() + 1) / 2;
  }

  @Override
  protected void finishInput() throws Exception {
    while (batches.waiting() + labelled.waiting() > 0) {
      step();
    }
    if (position() > publishedAt) {
      publish();
    }
    Map<String, Double> summary = metrics();
    summary.put("version", (double) version);
    summary.put("updates", (double) trainer.steps());
    summary.put("loss", lastLoss);
    SummaryAccumulator.report(getRuntimeContext(), job(), summary);
    warning()
        .ifPresent(
            text -> {
              ListAccumulator<String> warnings = new ListAccumulator<>();
              warnings.add(text);
              getRuntimeContext().addAccumulator(WARNINGS, warnings);
            });
  }

  /**
   * A warning if the safety reward model learned no safety labels. The ranking loss depends on
   * differences of scores only, so without labels a threshold on the scores means nothing.
   */
  private Optional<String> warning() {
    if (objective != Objective.SAFETY
        || learned == 0
        || (heldOut.labels() > 0 && section().labelWeight() > 0)) {
      return Optional.empty();
    }
    String reason =
        heldOut.labels() == 0
            ? "none of its %d judgments has a safety label (responseA.unsafe, responseB.unsafe)"
                .formatted(learned)
            : "reward-model.label-weight is 0";
    return Optional.of(
        ("%s: %s. The zero of its scores is arbitrary, so ppo.safety-threshold %s means nothing:"
                + " add safety labels, and set reward-model.label-weight above 0")
            .formatted(
                job(), reason, settings.config().section(PpoSection.class).safetyThreshold()));
  }

  private void publish() throws IOException {
    if (!warned) {
      warning().ifPresent(LOG::warn);
      warned = true;
    }
    long parent = version;
    version = parent + 1;
    publishedAt = position();
    Optional<ScoreScale> scores = anchors.measure(trainer.model());
    withheld.measure(trainer.model(), this::pair);
    if (anchors.isAlarming()) {
      LOG.warn(
          "{} version {}: the mean score of the anchor responses moved by {} since the version"
              + " before (reward-model.alarm-anchor-shift {})",
          job(),
          version,
          anchors.shift(),
          section().alarmAnchorShift());
    }
    emitLater(
        Outputs.ANNOTATORS,
        Outputs.metrics(annotatorsOf(job()), version, annotators.byAnnotator(), clock.instant()));
    Map<String, Double> published = metrics();
    published.put("loss", lastLoss);
    emitLater(
        publisher.rewardModel(
            new Publisher.Version(
                job(), version, parent, 0, trainer.steps(), counts(), published, clock.instant()),
            objective,
            judge,
            trainer.model(),
            scores,
            initial.tokenizer()));
    List<LearnedRecords> learnedFrom = new ArrayList<>(List.of(lineage));
    if (labelled.learned() > 0) {
      learnedFrom.add(feedbackLineage);
    } else {
      feedbackLineage.startFrom(job(), version);
    }
    LearnedRecords.publish(learnedFrom, version, clock.instant())
        .forEach(part -> emitLater(Outputs.LINEAGE, part));
  }

  /** Records learned from, by topic. */
  private Map<String, Long> counts() {
    Map<String, Long> counts = new HashMap<>();
    counts.put("judgments", learned - labelled.learned());
    if (labelled.learned() > 0) {
      counts.put("feedback", labelled.learned());
    }
    return counts;
  }

  /**
   * The operator's state.
   *
   * @param inbox the records in the inbox if all are judgments, as in states of earlier builds
   * @param opinions the records in the inbox otherwise
   */
  private record State(
      List<Judgment> inbox,
      long consumed,
      long learned,
      long skippedUpdates,
      long publishedAt,
      long version,
      double lastLoss,
      RewardModelMetrics.State heldOut,
      JudgmentBatches.State batches,
      @Nullable @AvroDefault("null") AnchorResponses.State anchors,
      @Nullable @AvroDefault("null") JudgmentViews.State views,
      @Nullable @AvroDefault("null") HeldOutJudgments.State withheld,
      @Nullable @AvroDefault("null") Annotators.State annotators,
      @AvroDefault("0") long replaced,
      @Nullable @AvroDefault("null") LearnedRecords.State lineage,
      @Nullable @AvroDefault("null") List<Opinion> opinions,
      @Nullable @AvroDefault("null") LabelledResponses.State labelled,
      @Nullable @AvroDefault("null") LearnedRecords.State feedbackLineage) {}

  @Override
  protected CopyBudget copies() {
    return settings.copies();
  }

  @Override
  public void writeState(StateWriter out) throws IOException {
    List<Opinion> waiting = inbox();
    boolean judgments = waiting.stream().allMatch(opinion -> opinion.judgment() != null);
    out.write(
        new State(
            judgments ? waiting.stream().map(Opinion::judgment).toList() : List.of(),
            consumed,
            learned,
            skippedUpdates,
            publishedAt,
            version,
            lastLoss,
            heldOut.state(),
            batches.state(),
            anchors.state(),
            views.state(),
            withheld.state(),
            annotators.state(),
            replaced,
            lineage.state(),
            judgments ? null : waiting,
            labelled.state(),
            feedbackLineage.state()));
    trainer.write(out);
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    restoreInbox(
        state.opinions() == null
            ? state.inbox().stream().map(Opinion::of).toList()
            : state.opinions(),
        0);
    consumed = state.consumed();
    learned = state.learned();
    skippedUpdates = state.skippedUpdates();
    publishedAt = state.publishedAt();
    version = state.version();
    lastLoss = state.lastLoss();
    heldOut.restore(state.heldOut());
    batches.restore(state.batches());
    replaced = state.replaced();
    if (state.anchors() != null) {
      anchors.restore(state.anchors());
    }
    if (state.views() != null) {
      views.restore(state.views());
    }
    if (state.withheld() != null) {
      withheld.restore(state.withheld());
    }
    if (state.annotators() != null) {
      annotators.restore(state.annotators());
      annotators.takeReleased().stream()
          .filter(judgment -> !withheld.take(judgment))
          .forEach(batches::add);
      countDropped();
    }
    long published = publishedAt > 0 ? version : 0;
    lineage.restore(state.lineage(), published, learned - publishedAt);
    feedbackLineage.restore(state.feedbackLineage(), published, 0);
    if (state.labelled() != null) {
      labelled.restore(state.labelled());
    }
    trainer.read(in);
  }

  @Override
  public void closeModels() {
    Closing.closeAll(trainer, initial, backend);
  }
}
