package io.millrace.jobs.supervised;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LearnedRecords;
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
import io.millrace.model.training.DivergenceGuard;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * Supervised fine-tuning on demonstrations in order of arrival. A bounded run over the topic keeps
 * them and makes its further passes at the end, each in another order. For a file the source makes
 * all passes.
 */
final class SupervisedOperator extends TrainingOperator<Demonstration, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final String JOB = "supervised";

  private final RuntimeSettings settings;
  private final int passes;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient DemonstrationExamples examples;
  private transient SupervisedTrainer trainer;
  private transient Publisher publisher;
  private transient DivergenceGuard guard;

  // State.
  private transient SequencePacker packer;
  private transient List<Example> kept;

  /** Of the packer's examples, and of those kept. */
  private transient List<Provenance> packedFrom;

  private transient List<Provenance> keptFrom;
  private transient long replaced;
  private transient LearnedRecords lineage;
  private transient long skippedUpdates;
  private transient long consumed;
  private transient long learned;
  private transient long tokens;
  private transient long learnedTokens;
  private transient long publishedAt;
  private transient volatile long version;
  private transient double lastLoss;

  SupervisedOperator(MillraceConfig config, boolean bounded) {
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
    version = Math.max(policy.version(), publisher.latestPolicy(config.model().name()));
    lineage = new LearnedRecords(config.model().name(), Topic.DEMONSTRATIONS);
    lineage.startFrom(policy.name(), policy.version());
    kept = new ArrayList<>();
    packedFrom = new ArrayList<>();
    keptFrom = new ArrayList<>();
    guard = new DivergenceGuard("demonstrations");
  }

  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.DEMONSTRATIONS);
  }

  @Override
  protected Provenance provenance(Demonstration demonstration) {
    return Provenance.of(demonstration);
  }

  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    return super.removeWithdrawn(withdrawn) + forget(withdrawn);
  }

  /**
   * Removes the examples of demonstrations from the incomplete batch and from those kept.
   *
   * @return how many demonstrations were removed
   */
  private int forget(Predicate<Provenance> removed) {
    Set<Provenance> found = new HashSet<>();
    List<Example> packed = without(packer.examples(), packedFrom, removed, found);
    if (packed.size() < packer.examples().size()) {
      packer.restore(packed);
    }
    kept = without(kept, keptFrom, removed, found);
    return found.size();
  }

  /** The examples that stay, and their provenances in {@code from}. */
  private static List<Example> without(
      List<Example> examples,
      List<Provenance> from,
      Predicate<Provenance> removed,
      Set<Provenance> found) {
    List<Example> stay = new ArrayList<>();
    List<Provenance> stayFrom = new ArrayList<>();
    for (int i = 0; i < examples.size(); i++) {
      if (removed.test(from.get(i))) {
        found.add(from.get(i));
      } else {
        stay.add(examples.get(i));
        stayFrom.add(from.get(i));
      }
    }
    from.clear();
    from.addAll(stayFrom);
    return stay;
  }

  /** Removes the earlier revisions of a demonstration; the weights keep what they learned. */
  private void replaceFormer(Provenance next) {
    if (next.revision() > 0) {
      replaced += forget(former -> former.isRevisedBy(next));
    }
  }

  /** The batch that is being learned from, and the next one. */
  @Override
  protected int capacity() {
    return 2 * section().batchSize();
  }

  @Override
  protected long version() {
    return version;
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
    Provenance from = Provenance.of(demonstration);
    replaceFormer(from);
    consumed++;
    if (passes > 1) {
      kept.addAll(parts);
      parts.forEach(_ -> keptFrom.add(from));
    }
    parts.forEach(part -> learn(part, from));
    release(1);
    return true;
  }

  private SupervisedSection section() {
    return settings.config().section(SupervisedSection.class);
  }

  private void learn(Example example, Provenance from) {
    // The batch that is now complete does not have this example.
    packer.add(example).ifPresent(this::step);
    packedFrom.add(from);
  }

  /** Ids for people: one in parentheses is none. */
  private static List<String> ids(List<Provenance> from) {
    return from.stream()
        .map(one -> one.ids().isEmpty() ? "(unknown)" : one.ids().getFirst())
        .toList();
  }

  private void step(SequencePacker.Batch batch) {
    SupervisedTrainer.Step step = trainer.step(batch.sequences());
    guard.check(step.loss(), step.update(), () -> ids(packedFrom));
    for (Provenance from : packedFrom) {
      if (from.ids().isEmpty()) {
        lineage.addUnknown();
      } else {
        lineage.add(from.ids().getFirst());
      }
    }
    packedFrom.clear();
    if (!step.update().applied()) {
      skippedUpdates++;
    }
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
      List<Integer> order = new ArrayList<>(IntStream.range(0, kept.size()).boxed().toList());
      Collections.shuffle(order, new Random(settings.config().model().seed() + epoch));
      order.forEach(i -> learn(kept.get(i), keptFrom.get(i)));
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
    summary.put("restarts", restarts());
    summary.put("updates", (double) trainer.steps());
    summary.put("skipped_updates", (double) skippedUpdates);
    summary.put("replaced", (double) replaced);
    summary.put("loss", lastLoss);
    summary.put("version", (double) version);
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  private void publish() throws IOException {
    String name = settings.config().model().name();
    long parent = version;
    version = parent + 1;
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
    lineage.publish(version, Instant.now()).forEach(record -> emitLater(Outputs.LINEAGE, record));
  }

  /**
   * The operator's state beside its trainer.
   *
   * @param packed examples of the incomplete batch
   * @param kept examples for further passes
   * @param packedIds of the demonstrations; earlier builds have no more, and the first none
   * @param packedFrom null in states of earlier builds
   */
  private record State(
      List<Demonstration> inbox,
      long consumed,
      long learned,
      long tokens,
      long learnedTokens,
      long publishedAt,
      long version,
      double lastLoss,
      List<Example> packed,
      List<Example> kept,
      @AvroDefault("[]") List<String> packedIds,
      @AvroDefault("[]") List<String> keptIds,
      @AvroDefault("0") long skippedUpdates,
      @Nullable @AvroDefault("null") List<Provenance> packedFrom,
      @Nullable @AvroDefault("null") List<Provenance> keptFrom,
      @AvroDefault("0") long replaced,
      @Nullable @AvroDefault("null") LearnedRecords.State lineage) {}

  @Override
  protected CopyBudget copies() {
    return settings.copies();
  }

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(
        new State(
            inbox(),
            consumed,
            learned,
            tokens,
            learnedTokens,
            publishedAt,
            version,
            lastLoss,
            packer.examples(),
            kept,
            ids(packedFrom),
            ids(keptFrom),
            skippedUpdates,
            packedFrom,
            keptFrom,
            replaced,
            lineage.state()));
    trainer.write(out);
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    restoreInbox(state.inbox(), 0);
    consumed = state.consumed();
    learned = state.learned();
    tokens = state.tokens();
    learnedTokens = state.learnedTokens();
    publishedAt = state.publishedAt();
    version = state.version();
    lastLoss = state.lastLoss();
    packer.restore(state.packed());
    kept = new ArrayList<>(state.kept());
    packedFrom = from(state.packedFrom(), state.packedIds(), state.packed().size());
    keptFrom = from(state.keptFrom(), state.keptIds(), kept.size());
    skippedUpdates = state.skippedUpdates();
    replaced = state.replaced();
    lineage.restore(state.lineage(), publishedAt > 0 ? version : 0, consumed - publishedAt);
    trainer.read(in);
  }

  private static List<Provenance> from(List<Provenance> known, List<String> ids, int examples) {
    List<Provenance> from =
        new ArrayList<>(known == null ? ids.stream().map(Provenance::ofId).toList() : known);
    while (from.size() < examples) {
      from.add(Provenance.UNKNOWN);
    }
    return from;
  }

  @Override
  public void closeModels() {
    Closing.closeAll(trainer, policy == null ? null : policy.tokenizer(), backend);
  }
}
