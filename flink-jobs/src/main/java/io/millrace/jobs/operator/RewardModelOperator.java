package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.RewardModelSection;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.rlhf.Calibration;
import io.millrace.model.tensor.Backend;
import io.millrace.model.train.RewardModelTrainer;
import io.millrace.model.train.StateIo;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rating;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * One reward model. Every judgment is learned from once, and scored before it is learned from, so
 * that accuracy is always a held-out figure.
 */
public final class RewardModelOperator extends LearningOperator<StagedCheckpoint>
    implements OneInputStreamOperator<Judgment, StagedCheckpoint>, BoundedOneInput {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private final Objective objective;

  private transient Backend backend;
  private transient PolicyModel initial;
  private transient RewardModelTrainer trainer;
  private transient JudgmentTokens tokens;
  private transient Publisher publisher;
  private transient SingleObject<Judgment> codec;

  // State.
  private transient List<Judgment> batch;
  private transient Calibration accuracy;
  private transient long consumed;
  private transient long publishedAt;
  private transient long version;
  private transient double lastLoss;

  public RewardModelOperator(MillraceConfig config, Objective objective) {
    this.settings = new RuntimeSettings(config);
    this.objective = objective;
  }

  /** The job's name on metrics and summaries. */
  public static String job(Objective objective) {
    return "reward-model-" + objective.name().toLowerCase(Locale.ROOT);
  }

  private RewardModelSection section() {
    return settings.config().rewardModel();
  }

  @Override
  protected void openModels() throws IOException {
    MillraceConfig config = settings.config();
    backend = settings.backend();
    initial = PolicyModel.load(backend, config.model().initial());
    ScalarModel model =
        ScalarModel.onTrunkOf(backend, initial.model().config(), initial.model().weights());
    trainer =
        new RewardModelTrainer(
            backend,
            model,
            section().optimizer().adamW(),
            section().schedule(),
            section().labelWeight());
    tokens = new JudgmentTokens(initial.template());
    publisher = settings.publisher();
    codec = SingleObject.of(Judgment.class);
    version = publisher.latestVersion(job(objective), Topic.REWARD_CHECKPOINTS, objective.name());
    batch = new ArrayList<>();
    accuracy = new Calibration();
  }

  @Override
  public void processElement(StreamRecord<Judgment> element) throws Exception {
    batch.add(element.getValue());
    consumed++;
    if (batch.size() >= section().batchSize()) {
      step();
    } else if (!section().maxWait().isZero()) {
      after(
          section().maxWait(),
          () -> {
            if (!batch.isEmpty()) {
              step();
            }
          });
    }
  }

  private void step() throws IOException {
    List<RewardModelTrainer.Pair> pairs =
        batch.stream().map(judgment -> tokens.pair(judgment, section().margin())).toList();
    RewardModelTrainer.Step step = trainer.step(pairs);
    for (int i = 0; i < batch.size(); i++) {
      accuracy.add(
          step.preferredScores()[i], step.rejectedScores()[i], batch.get(i).getRating().ordinal());
    }
    batch.clear();
    lastLoss = step.loss();
    Map<String, Double> metrics = new HashMap<>();
    metrics.put("loss", step.loss());
    metrics.put("label_loss", step.labelLoss());
    metrics.put("lr", step.update().learningRate());
    metrics.put("gradient_norm", step.update().gradientNorm());
    metrics.putAll(figures());
    emit(Outputs.METRICS, Outputs.metrics(job(objective), trainer.steps(), metrics, Instant.now()));
    if (consumed - publishedAt >= section().publishEvery()) {
      publish();
    }
  }

  /** Counts and held-out accuracy so far. */
  private Map<String, Double> figures() {
    Map<String, Double> figures = new HashMap<>();
    figures.put("judgments", (double) consumed);
    figures.put("learned", (double) (consumed - batch.size()));
    for (Rating rating : Rating.values()) {
      if (accuracy.judgments(rating.ordinal()) > 0) {
        figures.put("accuracy/" + rating, accuracy.accuracy(rating.ordinal()));
      }
    }
    if (accuracy.judgments() > 0) {
      figures.put("accuracy/all", accuracy.accuracy());
    }
    return figures;
  }

  @Override
  public void endInput() throws Exception {
    if (!batch.isEmpty()) {
      step();
    }
    if (consumed > publishedAt) {
      publish();
    }
    Map<String, Double> summary = figures();
    summary.put("version", (double) version);
    summary.put("updates", (double) trainer.steps());
    summary.put("loss", lastLoss);
    SummaryAccumulator.report(getRuntimeContext(), job(objective), summary);
  }

  private void publish() throws IOException {
    long parent = version;
    version++;
    publishedAt = consumed;
    Map<String, Double> metrics = new HashMap<>(figures());
    metrics.values().removeIf(value -> !Double.isFinite(value));
    metrics.put("loss", lastLoss);
    emit(
        publisher.stage(
            trainer.model().config(),
            trainer.model().weights(),
            initial.tokenizer(),
            CheckpointManifest.describing(
                CheckpointKind.REWARD_MODEL,
                job(objective),
                version,
                parent == 0 ? null : parent,
                0,
                trainer.steps(),
                Map.of("judgments", consumed),
                metrics),
            Topic.REWARD_CHECKPOINTS,
            files ->
                RewardCheckpoint.newBuilder()
                    .setObjective(objective)
                    .setVersion(version)
                    .setUri(files.finalUri())
                    .setManifestSha256(files.manifestSha256())
                    .setJudgments(consumed)
                    .setMetrics(metrics)
                    .setTime(Instant.now())
                    .build()));
  }

  @Override
  protected void writeState(DataOutputStream out) throws IOException {
    out.writeLong(consumed);
    out.writeLong(publishedAt);
    out.writeLong(version);
    out.writeDouble(lastLoss);
    accuracy.write(out);
    StateIo.writeList(
        out, batch, (stream, judgment) -> StateIo.writeBytes(stream, codec.encode(judgment)));
    trainer.write(out);
  }

  @Override
  protected void readState(DataInputStream in) throws IOException {
    consumed = in.readLong();
    publishedAt = in.readLong();
    version = in.readLong();
    lastLoss = in.readDouble();
    accuracy = Calibration.read(in);
    batch = StateIo.readList(in, stream -> codec.decode(StateIo.readBytes(stream)));
    trainer.read(in);
  }

  @Override
  protected void closeModels() {
    Closing.closeAll(trainer, initial, backend);
  }
}
