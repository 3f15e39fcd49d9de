package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.reward.MixedBatches;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.reward.ShuffleBuffer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One reward model. Every judgment is learned from once, and scored before it is learned from, so
 * that accuracy, margins and calibration are held-out figures. A batch keeps the ratio of its
 * sources by {@linkplain MixedBatches replaying} judgments, which count in none of them.
 */
public final class RewardModelOperator extends TrainingOperator<Judgment, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(RewardModelOperator.class);

  /** Accumulator: what a run's summary shall warn of, one text each. */
  public static final String WARNINGS = "warnings";

  /** 1 had no shuffle buffer. */
  private static final int STATE_FORMAT = 2;

  private final RuntimeSettings settings;
  private final Objective objective;
  private final Clock clock;

  private transient Backend backend;
  private transient PolicyModel initial;
  private transient RewardModelTrainer trainer;
  private transient JudgmentTokens tokens;
  private transient JudgmentSources sources;
  private transient Publisher publisher;
  private transient SingleObject<Judgment> codec;
  private transient boolean warned;

  /** Whether what waits for its batch has waited for long enough. */
  private transient volatile boolean overdue;

  /** Whether nothing is kept back any more. */
  private transient volatile boolean inputEnded;

  // State.
  private transient ShuffleBuffer<Judgment> shuffle;
  private transient MixedBatches<Judgment> batches;
  private transient RewardModelFigures figures;
  private transient long consumed;
  private transient long learned;
  private transient long skippedUpdates;
  private transient long publishedAt;
  private transient long version;
  private transient double lastLoss;

  /**
   * @param clock the time of published records, and from when on a judgment is learned from; it
   *     travels with the job, so it must be serializable
   */
  public RewardModelOperator(MillraceConfig config, Objective objective, Clock clock) {
    this.settings = new RuntimeSettings(config);
    this.objective = objective;
    this.clock = clock;
  }

  /** The job's name on metrics and summaries. */
  public static String job(Objective objective) {
    return "reward-model-" + objective.name().toLowerCase(Locale.ROOT);
  }

  private RewardModelSection section() {
    return settings.config().section(RewardModelSection.class);
  }

  private PiecewiseReward unsafe() {
    return settings.config().section(PpoSection.class).piecewiseReward();
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    MillraceConfig config = settings.config();
    backend = settings.backend();
    initial = settings.initialPolicy(backend);
    ScalarModel model =
        ScalarModel.onTrunkOf(backend, initial.model().config(), initial.model().weights());
    model.useMemory(settings.memory());
    trainer =
        new RewardModelTrainer(
            backend,
            model,
            section().optimizer().adamW(),
            section().schedule(objective),
            section().labelWeight());
    tokens = new JudgmentTokens(initial.template());
    sources = new JudgmentSources(objective, section().of(objective).ratios());
    publisher = settings.publisher();
    codec = SingleObject.of(Judgment.class);
    version = publisher.latestVersion(job(objective), Topic.REWARD_CHECKPOINTS, objective.name());
    shuffle = new ShuffleBuffer<>(section().shuffleBuffer(), config.model().seed());
    batches =
        new MixedBatches<>(
            sources.ratios(),
            section().batchSize(),
            section().replayCapacity(),
            config.model().seed());
    figures = new RewardModelFigures(objective, unsafe());
  }

  /** Two batches in the inbox, beside the records that wait for their batch by source. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected boolean work() throws IOException {
    if (isPublishDue()) {
      publish();
      return true;
    }
    boolean took = false;
    while (!batches.isDue()) {
      // Asked before the inbox is: what is in it then is the rest of the input.
      boolean ended = inputEnded;
      Judgment judgment = shuffle.isDue() ? null : poll();
      if (judgment != null) {
        shuffle.add(judgment);
        consumed++;
        release(1);
        took = true;
      } else if (shuffle.isDue() || (ended && shuffle.waiting() > 0)) {
        Judgment next = shuffle.take();
        batches.add(sources.keyOfAny(next), next);
      } else {
        return stepWhereOverdue() || took;
      }
    }
    step();
    return true;
  }

  @Override
  protected void inputEnds() {
    inputEnded = true;
  }

  /** Learns from an incomplete batch where it has waited for long enough. */
  private boolean stepWhereOverdue() throws IOException {
    boolean waited = overdue;
    overdue = false;
    if (batches.waiting() == 0 || section().maxWait().isZero()) {
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
    MixedBatches.Batch<Judgment> batch = batches.take();
    List<Judgment> fresh = batch.fresh();
    learned += fresh.size();
    List<RewardModelTrainer.Pair> pairs =
        batch.all().stream()
            .map(
                judgment ->
                    tokens.pair(judgment, section().margin(), objective == Objective.SAFETY))
            .toList();
    RewardModelTrainer.Step step = trainer.step(pairs, learned);
    for (int i = 0; i < fresh.size(); i++) {
      figures.add(fresh.get(i), step.preferredScores()[i], step.rejectedScores()[i]);
    }
    if (!step.update().applied()) {
      skippedUpdates++;
    }
    lastLoss = step.loss();
    Map<String, Double> metrics = figures();
    metrics.put("loss", step.loss());
    metrics.put("label_loss", step.labelLoss());
    metrics.put("lr", step.update().learningRate());
    metrics.put("gradient_norm", step.update().gradientNorm());
    metrics.put("batch/fresh", (double) fresh.size());
    metrics.put("batch/replayed", (double) batch.replayed().size());
    meanLatency(fresh).ifPresent(mean -> metrics.put("stream/judgment_latency_ms", mean));
    emitMetricsLater(Outputs.metrics(job(objective), trainer.steps(), metrics, clock.instant()));
  }

  /** Mean time from the making of judgments, where it is known, to the update they are part of. */
  private OptionalDouble meanLatency(List<Judgment> judgments) {
    long now = clock.millis();
    return judgments.stream()
        .mapToLong(judgment -> judgment.getTime().toEpochMilli())
        .filter(time -> time > 0)
        .mapToDouble(time -> now - time)
        .average();
  }

  /** Counts and held-out figures so far. */
  private Map<String, Double> figures() {
    Map<String, Double> all = new HashMap<>(figures.figures());
    all.put("judgments", (double) consumed);
    all.put("learned", (double) learned);
    all.put("skipped_updates", (double) skippedUpdates);
    return all;
  }

  /** After a number of judgments, and with the last one of a schedule. */
  private boolean isPublishDue() {
    long scheduled = section().of(objective).scheduleJudgments();
    boolean scheduleEnded = publishedAt < scheduled && learned >= scheduled;
    return learned - publishedAt >= section().publishEvery() || scheduleEnded;
  }

  @Override
  protected void finishInput() throws Exception {
    while (batches.waiting() > 0) {
      step();
    }
    if (learned > publishedAt) {
      publish();
    }
    Map<String, Double> summary = figures();
    summary.put("version", (double) version);
    summary.put("updates", (double) trainer.steps());
    summary.put("loss", lastLoss);
    SummaryAccumulator.report(getRuntimeContext(), job(objective), summary);
    warning()
        .ifPresent(
            text -> {
              ListAccumulator<String> warnings = new ListAccumulator<>();
              warnings.add(text);
              getRuntimeContext().addAccumulator(WARNINGS, warnings);
            });
  }

  /**
   * Why the safety threshold means nothing, where it does: the ranking loss alone leaves the zero
   * of the scores undefined.
   */
  private Optional<String> warning() {
    if (objective != Objective.SAFETY
        || learned == 0
        || (figures.labels() > 0 && section().labelWeight() > 0)) {
      return Optional.empty();
    }
    String reason =
        figures.labels() == 0
            ? "none of its %d judgments has a safety label (responseA.unsafe, responseB.unsafe)"
                .formatted(learned)
            : "reward-model.label-weight is 0";
    return Optional.of(
        "%s: %s, so the zero of its scores is arbitrary and ppo.safety-threshold %s means nothing"
            .formatted(
                job(objective),
                reason,
                settings.config().section(PpoSection.class).safetyThreshold()));
  }

  private void publish() throws IOException {
    if (!warned) {
      warning().ifPresent(LOG::warn);
      warned = true;
    }
    long parent = version;
    version++;
    publishedAt = learned;
    Map<String, Double> metrics = figures();
    metrics.put("loss", lastLoss);
    emitLater(
        publisher.rewardModel(
            new Publisher.Version(
                job(objective),
                version,
                parent,
                0,
                trainer.steps(),
                Map.of("judgments", learned),
                metrics,
                clock.instant()),
            objective,
            trainer.model(),
            initial.tokenizer()));
  }

  @Override
  public void writeState(StateWriter state) throws IOException {
    DataOutputStream out = state.raw();
    StateIo.writeList(out, inbox(), this::writeJudgment);
    out.writeInt(STATE_FORMAT);
    out.writeLong(consumed);
    out.writeLong(learned);
    out.writeLong(skippedUpdates);
    out.writeLong(publishedAt);
    out.writeLong(version);
    out.writeDouble(lastLoss);
    figures.write(out);
    shuffle.write(out, this::writeJudgment);
    batches.write(out, this::writeJudgment);
    trainer.write(state);
  }

  @Override
  public void readState(StateReader state) throws IOException {
    DataInputStream in = state.raw();
    restoreInbox(StateIo.readList(in, this::readJudgment), 0);
    int format = in.readInt();
    if (format < 1 || format > STATE_FORMAT) {
      throw new IOException(
          "state of %s has format %d, this version reads up to %d"
              .formatted(job(objective), format, STATE_FORMAT));
    }
    consumed = in.readLong();
    learned = in.readLong();
    skippedUpdates = in.readLong();
    publishedAt = in.readLong();
    version = in.readLong();
    lastLoss = in.readDouble();
    figures = RewardModelFigures.read(in, objective, unsafe());
    if (format > 1) {
      shuffle.read(in, this::readJudgment);
    }
    batches.read(in, this::readJudgment);
    trainer.read(state);
  }

  private void writeJudgment(DataOutput out, Judgment judgment) throws IOException {
    StateIo.writeBytes(out, codec.encode(judgment));
  }

  private Judgment readJudgment(DataInput in) throws IOException {
    return codec.decode(StateIo.readBytes(in));
  }

  @Override
  public void closeModels() {
    Closing.closeAll(trainer, initial, backend);
  }
}
