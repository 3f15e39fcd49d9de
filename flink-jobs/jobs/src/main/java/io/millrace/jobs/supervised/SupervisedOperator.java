package io.millrace.jobs.supervised;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.supervised.SequencePacker;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInputStream;
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
 * Supervised fine-tuning on the demonstrations as they come. A bounded run over the topic then
 * makes its further passes over those it has kept, in an order of its own for each pass; a file is
 * passed over by its source.
 */
public final class SupervisedOperator extends TrainingOperator<Demonstration, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final String JOB = "supervised";

  private final RuntimeSettings settings;
  private final int passes;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient DemonstrationExamples examples;
  private transient SupervisedTrainer trainer;
  private transient Publisher publisher;
  private transient SingleObject<Demonstration> codec;

  // State.
  private transient SequencePacker packer;
  private transient List<Example> kept;
  private transient long consumed;
  private transient long learned;
  private transient long tokens;
  private transient long learnedTokens;
  private transient long publishedAt;
  private transient long version;
  private transient double lastLoss;

  public SupervisedOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    SupervisedSection section = config.section(SupervisedSection.class);
    this.passes = bounded && !section.fromFile() ? section.epochs() : 1;
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    MillraceConfig config = settings.config();
    SupervisedSection section = config.section(SupervisedSection.class);
    backend = settings.backend();
    policy = settings.initialPolicy(backend);
    policy.model().useMemory(settings.memory());
    trainer =
        new SupervisedTrainer(
            backend, policy.model(), section.optimizer().adamW(), section.schedule());
    examples = new DemonstrationExamples(policy, section);
    packer =
        new SequencePacker(
            examples.sequenceLength(),
            section.batchSize(),
            section.concatenate(),
            policy.tokenizer().optionalSeparator());
    publisher = settings.publisher();
    codec = SingleObject.of(Demonstration.class);
    String name = config.model().name();
    version =
        Math.max(policy.version(), publisher.latestVersion(name, Topic.POLICY_CHECKPOINTS, name));
    kept = new ArrayList<>();
  }

  /** A batch being learned from, and the next one. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected boolean work() throws IOException {
    if (consumed - publishedAt >= section().publishEvery()) {
      publish();
      return true;
    }
    Demonstration demonstration = poll();
    if (demonstration == null) {
      return false;
    }
    List<Example> parts = examples.of(demonstration);
    consumed++;
    if (passes > 1) {
      kept.addAll(parts);
    }
    parts.forEach(this::learn);
    release(1);
    return true;
  }

  private SupervisedSection section() {
    return settings.config().section(SupervisedSection.class);
  }

  private void learn(Example example) {
    packer.add(example).ifPresent(this::step);
  }

  private void step(SequencePacker.Batch batch) {
    SupervisedTrainer.Step step = trainer.step(batch.sequences());
    lastLoss = step.loss();
    learned += batch.examples();
    tokens += step.tokens();
    learnedTokens += step.learnedTokens();
    emitMetricsLater(
        Outputs.metrics(
            JOB,
            trainer.steps(),
            Map.of(
                "loss", step.loss(),
                "lr", step.update().learningRate(),
                "gradient_norm", step.update().gradientNorm(),
                "tokens", (double) step.tokens(),
                "learned_tokens", (double) step.learnedTokens(),
                "examples", (double) batch.examples(),
                "demonstrations", (double) consumed),
            Instant.now()));
  }

  @Override
  protected void finishInput() throws Exception {
    for (int epoch = 1; epoch < passes; epoch++) {
      List<Example> order = new ArrayList<>(kept);
      Collections.shuffle(order, new Random(settings.config().model().seed() + epoch));
      order.forEach(this::learn);
    }
    packer.drain().ifPresent(this::step);
    if (consumed > publishedAt) {
      publish();
    }
    Map<String, Double> summary = new HashMap<>();
    summary.put("demonstrations", (double) consumed);
    summary.put("examples", (double) learned);
    summary.put("tokens", (double) tokens);
    summary.put("learned_tokens", (double) learnedTokens);
    summary.put("restarts", (double) getRuntimeContext().getTaskInfo().getAttemptNumber());
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
        publisher.policy(
            new Publisher.Version(
                name,
                version,
                parent,
                0,
                trainer.steps(),
                Map.of("demonstrations", consumed),
                metrics,
                Instant.now()),
            policy));
  }

  @Override
  public void writeState(StateWriter state) throws IOException {
    DataOutputStream out = state.raw();
    StateIo.writeList(
        out,
        inbox(),
        (data, demonstration) -> StateIo.writeBytes(data, codec.encode(demonstration)));
    out.writeLong(consumed);
    out.writeLong(learned);
    out.writeLong(tokens);
    out.writeLong(learnedTokens);
    out.writeLong(publishedAt);
    out.writeLong(version);
    out.writeDouble(lastLoss);
    packer.write(out);
    StateIo.writeList(out, kept, SequencePacker::writeExample);
    trainer.write(state);
  }

  @Override
  public void readState(StateReader state) throws IOException {
    DataInputStream in = state.raw();
    restoreInbox(StateIo.readList(in, data -> codec.decode(StateIo.readBytes(data))), 0);
    consumed = in.readLong();
    learned = in.readLong();
    tokens = in.readLong();
    learnedTokens = in.readLong();
    publishedAt = in.readLong();
    version = in.readLong();
    lastLoss = in.readDouble();
    packer.read(in);
    kept = StateIo.readList(in, SequencePacker::readExample);
    trainer.read(state);
  }

  @Override
  public void closeModels() {
    Closing.closeAll(trainer, policy == null ? null : policy.tokenizer(), backend);
  }
}
