package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.SupervisedSection;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.ChatExample;
import io.millrace.model.train.StateIo;
import io.millrace.model.train.SupervisedTrainer;
import io.millrace.model.train.SupervisedTrainer.Example;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Supervised fine-tuning on the demonstrations as they come; a bounded run then makes its further
 * passes over those it has kept, in an order of its own for each pass.
 */
public final class SupervisedOperator extends TrainingOperator<Demonstration, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final String JOB = "supervised";

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient SupervisedTrainer trainer;
  private transient Publisher publisher;
  private transient SingleObject<Demonstration> codec;

  // State.
  private transient List<Example> batch;
  private transient List<Example> kept;
  private transient long consumed;
  private transient long publishedAt;
  private transient long version;
  private transient double lastLoss;

  public SupervisedOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  @Override
  protected void openModels() throws Exception {
    super.openModels();
    MillraceConfig config = settings.config();
    SupervisedSection section = config.supervised();
    backend = settings.backend();
    policy = PolicyModel.load(backend, config.model().initial());
    policy.model().useMemory(settings.memory());
    trainer =
        new SupervisedTrainer(
            backend, policy.model(), section.optimizer().adamW(), section.schedule());
    publisher = settings.publisher();
    codec = SingleObject.of(Demonstration.class);
    String name = config.model().name();
    version =
        Math.max(policy.version(), publisher.latestVersion(name, Topic.POLICY_CHECKPOINTS, name));
    batch = new ArrayList<>();
    kept = new ArrayList<>();
  }

  /** A batch being learned from, and the next one. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected boolean advance() throws IOException {
    if (consumed - publishedAt >= section().publishEvery()) {
      publish();
      return true;
    }
    Demonstration demonstration = poll();
    if (demonstration == null) {
      return false;
    }
    ChatExample tokens =
        policy.template().demonstration(Dialogues.messages(demonstration.getDialogue()));
    Example example = new Example(tokens.tokens(), tokens.learned());
    consumed++;
    if (bounded && section().epochs() > 1) {
      kept.add(example);
    }
    learn(example);
    release(1);
    return true;
  }

  private SupervisedSection section() {
    return settings.config().supervised();
  }

  private void learn(Example example) {
    batch.add(example);
    if (batch.size() == section().batchSize()) {
      step();
    }
  }

  private void step() {
    SupervisedTrainer.Step step = trainer.step(batch);
    batch.clear();
    lastLoss = step.loss();
    emitLater(
        Outputs.METRICS,
        Outputs.metrics(
            JOB,
            trainer.steps(),
            Map.of(
                "loss", step.loss(),
                "lr", step.update().learningRate(),
                "gradient_norm", step.update().gradientNorm(),
                "tokens", (double) step.tokens(),
                "demonstrations", (double) consumed),
            Instant.now()));
  }

  @Override
  protected void finishInput() throws Exception {
    for (int epoch = 1; epoch < section().epochs(); epoch++) {
      List<Example> order = new ArrayList<>(kept);
      Collections.shuffle(order, new Random(settings.config().model().seed() + epoch));
      order.forEach(this::learn);
    }
    if (!batch.isEmpty()) {
      step();
    }
    if (consumed > publishedAt) {
      publish();
    }
    Map<String, Double> summary = new HashMap<>();
    summary.put("demonstrations", (double) consumed);
    summary.put("updates", (double) trainer.steps());
    summary.put("loss", lastLoss);
    summary.put("version", (double) version);
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  private void publish() throws IOException {
    String name = settings.config().model().name();
    long parent = version;
    version++;
    publishedAt = consumed;
    Map<String, Double> metrics = Map.of("loss", lastLoss);
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
                0,
                trainer.steps(),
                Map.of("demonstrations", consumed),
                metrics),
            Topic.POLICY_CHECKPOINTS,
            files ->
                PolicyCheckpoint.newBuilder()
                    .setModel(name)
                    .setVersion(version)
                    .setUri(files.finalUri())
                    .setManifestSha256(files.manifestSha256())
                    .setIteration(0)
                    .setStep(trainer.steps())
                    .setDemonstrations(consumed)
                    .setMetrics(metrics)
                    .setTime(Instant.now())
                    .build()));
  }

  @Override
  protected void writeTraining(DataOutputStream out) throws IOException {
    out.writeLong(consumed);
    out.writeLong(publishedAt);
    out.writeLong(version);
    out.writeDouble(lastLoss);
    StateIo.writeList(out, batch, SupervisedOperator::writeExample);
    StateIo.writeList(out, kept, SupervisedOperator::writeExample);
    trainer.write(out);
  }

  @Override
  protected int readTraining(DataInputStream in) throws IOException {
    consumed = in.readLong();
    publishedAt = in.readLong();
    version = in.readLong();
    lastLoss = in.readDouble();
    batch = StateIo.readList(in, SupervisedOperator::readExample);
    kept = StateIo.readList(in, SupervisedOperator::readExample);
    trainer.read(in);
    return 0;
  }

  @Override
  protected void writeRecord(DataOutputStream out, Demonstration demonstration) throws IOException {
    StateIo.writeBytes(out, codec.encode(demonstration));
  }

  @Override
  protected Demonstration readRecord(DataInputStream in) throws IOException {
    return codec.decode(StateIo.readBytes(in));
  }

  private static void writeExample(DataOutput out, Example example) throws IOException {
    StateIo.writeInts(out, example.tokens());
    for (boolean loss : example.loss()) {
      out.writeBoolean(loss);
    }
  }

  private static Example readExample(DataInput in) throws IOException {
    int[] tokens = StateIo.readInts(in);
    boolean[] loss = new boolean[tokens.length];
    for (int i = 0; i < loss.length; i++) {
      loss[i] = in.readBoolean();
    }
    return new Example(tokens, loss);
  }

  @Override
  protected void closeModels() {
    Closing.closeAll(trainer, policy == null ? null : policy.tokenizer(), backend);
  }
}
