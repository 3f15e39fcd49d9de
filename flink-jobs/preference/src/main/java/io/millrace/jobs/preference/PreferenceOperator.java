package io.millrace.jobs.preference;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LearnedRecords;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.preference.PreferenceTrainer;
import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.Response;
import io.millrace.model.preference.ResponseLogProbs;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergenceGuard;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.metrics.Counter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains the policy on judgments and feedback. Each group of records goes through the reference
 * policy once, when it comes: the log-probs stay with the examples, in the state too.
 */
final class PreferenceOperator extends TrainingOperator<Opinion, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(PreferenceOperator.class);
  static final String JOB = "preference";

  private static final String STALE = "stale";
  private static final String NO_VERSION = "no-version";
  private static final String OTHER_OBJECTIVE = "other-objective";
  private static final String NO_LABEL = "no-label";

  private final RuntimeSettings settings;
  private final int passes;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient PolicyModel reference;
  private transient PreferenceTrainer trainer;
  private transient Examples examples;
  private transient Publisher publisher;
  private transient DivergenceGuard guard;
  private transient Map<String, Drops> drops;

  /** Whether the shuffle buffer keeps nothing back any more. */
  private transient volatile boolean inputEnded;

  // State.

  /** Records that wait for a pass of the reference policy. */
  private transient List<Opinion> arrived;

  private transient ExampleQueue queue;
  private transient List<Example> batch;

  /** Judgments of which one label was learned from, and the other waits. */
  private transient Set<Provenance> partlyLearned;

  private transient LearnedRecords judgmentLineage;
  private transient LearnedRecords feedbackLineage;
  private transient long judgments;
  private transient long feedback;
  private transient long learned;
  private transient long skippedUpdates;
  private transient long replaced;
  private transient long publishedAt;
  private transient volatile long version;
  private transient Map<String, Double> lastMetrics;

  /**
   * @param bounded whether the run ends, so that further passes follow
   */
  PreferenceOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.passes = bounded ? config.section(PreferenceSection.class).epochs() : 1;
  }

  private PreferenceSection section() {
    return settings.config().section(PreferenceSection.class);
  }

  private String name() {
    return settings.config().model().name();
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    backend = settings.backend();
    policy = settings.initialPolicy(backend);
    policy.model().useMemory(settings.memory());
    reference = settings.referencePolicy(backend);
    reference.model().useMemory(settings.memory());
    trainer =
        new PreferenceTrainer(
            backend,
            policy.model(),
            section().optimizer().adamW(),
            section().schedule(),
            section().settings());
    examples = new Examples(section(), policy.template());
    publisher = settings.publisher();
    version = Math.max(policy.version(), publisher.latestPolicy(name()));
    judgmentLineage = new LearnedRecords(name(), Topic.JUDGMENTS);
    judgmentLineage.startFrom(policy.name(), policy.version());
    feedbackLineage = new LearnedRecords(name(), Topic.FEEDBACK);
    feedbackLineage.startFrom(policy.name(), policy.version());
    guard = new DivergenceGuard("judgments and feedback");
    arrived = new ArrayList<>();
    queue = new ExampleQueue(section().shuffleBuffer(), passes, settings.config().model().seed());
    batch = new ArrayList<>();
    partlyLearned = new LinkedHashSet<>();
    lastMetrics = new HashMap<>();
    drops = new TreeMap<>();
    drop(Topic.JUDGMENTS, STALE);
    drop(Topic.JUDGMENTS, NO_VERSION);
    drop(Topic.JUDGMENTS, OTHER_OBJECTIVE);
    if (!section().loss().isOfPairs()) {
      drop(Topic.FEEDBACK, STALE);
      drop(Topic.FEEDBACK, NO_VERSION);
      drop(Topic.FEEDBACK, NO_LABEL);
    }
  }

  /** Records that are dropped for one reason: since the task and since the job began. */
  private static final class Drops {
    private final Topic<?> topic;
    private final String reason;
    private final LongCounter total = new LongCounter();
    private Counter metric;

    Drops(Topic<?> topic, String reason) {
      this.topic = topic;
      this.reason = reason;
    }

    long total() {
      return total.getLocalValuePrimitive();
    }
  }

  private void drop(Topic<?> topic, String reason) {
    drops.put(topic.name() + "/" + reason, new Drops(topic, reason));
  }

  @Override
  public void open() throws Exception {
    for (Drops one : drops.values()) {
      getRuntimeContext()
          .addAccumulator(Totals.prefix(one.topic) + Totals.DROPPED + one.reason, one.total);
      one.metric =
          getMetricGroup()
              .addGroup("topic", one.topic.name())
              .addGroup("reason", one.reason)
              .counter("opinions_dropped");
    }
    super.open();
  }

  /** With KTO, withdrawn feedback counts there too. */
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
    return super.removeWithdrawn(withdrawn) + forget(withdrawn);
  }

  /**
   * Removes records from all that waits or is kept beside the inbox.
   *
   * @return how many judgments and feedbacks were removed
   */
  private int forget(Predicate<Provenance> removed) {
    Set<Provenance> found = new HashSet<>();
    Predicate<Provenance> counted =
        from -> {
          boolean matches = removed.test(from);
          if (matches) {
            found.add(from);
          }
          return matches;
        };
    arrived.removeIf(opinion -> counted.test(opinion.provenance()));
    batch.removeIf(example -> counted.test(example.from()));
    queue.removeIf(counted);
    partlyLearned.removeIf(removed);
    return found.size();
  }

  /** Removes the earlier revisions of a record; the weights keep what they learned from them. */
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
  protected void inputEnds() {
    inputEnded = true;
  }

  @Override
  protected boolean work() throws IOException {
    if (learned - publishedAt >= section().publishEvery()) {
      publish();
      return true;
    }
    boolean took = false;
    while (true) {
      if (batch.size() >= section().batchSize()) {
        step();
        return true;
      }
      // Read before the inbox is polled: if the input has ended, an empty inbox stays empty.
      boolean ended = inputEnded;
      if (queue.isDue()) {
        toBatch(queue.take());
      } else if (arrived.size() >= section().batchSize()) {
        score();
        return true;
      } else {
        Opinion opinion = poll();
        if (opinion != null) {
          take(opinion);
          release(1);
        } else if (!ended) {
          return took;
        } else if (!arrived.isEmpty()) {
          score();
          return true;
        } else if (queue.hasMore()) {
          toBatch(queue.take());
        } else {
          return took;
        }
      }
      took = true;
    }
  }

  private void take(Opinion opinion) {
    replaceFormer(opinion.provenance());
    if (opinion.judgment() == null) {
      feedback++;
    } else {
      judgments++;
    }
    Topic<?> topic = opinion.topic();
    if (opinion.judgment() != null
        && !Labels.isLearned(opinion.judgment(), section().objective())) {
      dropped(topic, OTHER_OBJECTIVE);
    } else if (!examples.isLabelled(opinion)) {
      dropped(topic, NO_LABEL);
    } else if (section().online() && !opinion.isOfPolicies()) {
      dropped(topic, NO_VERSION);
    } else if (isStale(opinion.oldestVersion())) {
      droppedAsStale(topic, opinion.id(), opinion.oldestVersion());
    } else {
      arrived.add(opinion);
    }
  }

  private long dropped(Topic<?> topic, String reason) {
    Drops count = drops.get(topic.name() + "/" + reason);
    count.metric.inc();
    count.total.add(1L);
    return count.total();
  }

  private void droppedAsStale(Topic<?> topic, String id, OptionalLong oldest) {
    long count = dropped(topic, STALE);
    // The first, and then ever fewer lines: 1, 2, 4, 8.
    if (Long.bitCount(count) == 1) {
      LOG.warn(
          "{} records of {} dropped as stale so far; the last one, {}, is about a response of"
              + " policy version {}, and the current version is {} (preference.max-staleness {})",
          count,
          topic.name(),
          id,
          oldest.orElseThrow(),
          version,
          section().maxStaleness());
    }
  }

  /** Whether the policy that sampled a response is too many versions old. */
  private boolean isStale(OptionalLong oldest) {
    return oldest.isPresent() && version - oldest.getAsLong() > section().maxStaleness();
  }

  /** A group of records goes through the reference policy: once, whatever follows. */
  private void score() {
    queue.add(examples.of(arrived, reference.model()));
    arrived.clear();
  }

  /**
   * An example may have become stale while it waited. Its record counts as dropped once, if no
   * label of it was learned from: in the first pass, with the last of its labels.
   */
  private void toBatch(Example example) {
    if (!isStale(example.oldestVersion())) {
      batch.add(example);
    } else if (queue.pass() == 0
        && !partlyLearned.remove(example.from())
        && !hasOtherLabel(example.from())) {
      droppedAsStale(
          example.feedback() ? Topic.FEEDBACK : Topic.JUDGMENTS,
          example.id(),
          example.oldestVersion());
    }
  }

  private boolean hasOtherLabel(Provenance record) {
    return queue.waits(record) || batch.stream().anyMatch(example -> example.from().equals(record));
  }

  private void step() {
    double share = Math.min(1, (double) batch.size() / section().batchSize());
    PreferenceTrainer.Step step =
        section().loss().isOfPairs()
            ? trainer.stepPairs(batch.stream().map(Example::pair).toList(), share)
            : stepLabels(share);
    guard.check(
        step.loss(), step.update(), () -> batch.stream().map(Example::id).distinct().toList());
    if (!step.update().applied()) {
      skippedUpdates++;
    }
    learned += batch.size();
    for (Example example : batch) {
      (example.feedback() ? feedbackLineage : judgmentLineage).add(example.id());
      partlyLearned.remove(example.from());
      if (example.label() != null && queue.pass() == 0 && queue.waits(example.from())) {
        partlyLearned.add(example.from());
      }
    }
    lastMetrics = PreferenceMetrics.of(batch, step, section());
    lastMetrics.put("loss", step.loss());
    lastMetrics.put("lr", step.update().learningRate());
    lastMetrics.put("gradient_norm", step.update().gradientNorm());
    batch.stream()
        .map(Example::oldestVersion)
        .filter(OptionalLong::isPresent)
        .mapToDouble(oldest -> version - oldest.getAsLong())
        .average()
        .ifPresent(lag -> lastMetrics.put("stream/policy_lag_versions", lag));
    batch.clear();
    lastMetrics.putAll(counts());
    emitMetricsLater(Outputs.metrics(JOB, trainer.steps(), lastMetrics, Instant.now()));
  }

  private PreferenceTrainer.Step stepLabels(double share) {
    List<Label> labels = batch.stream().map(Example::label).toList();
    List<Response> mismatched =
        PreferenceTrainer.mismatched(
            labels, Math.min(section().maxTokens(), policy.model().config().maxPositions()));
    return trainer.stepLabels(
        labels, mismatched, ResponseLogProbs.of(reference.model(), mismatched), share);
  }

  private Map<String, Double> counts() {
    Map<String, Double> counts = new HashMap<>();
    counts.put("judgments", (double) judgments);
    counts.put("feedback", (double) feedback);
    counts.put("learned", (double) learned);
    counts.put("replaced", (double) replaced);
    counts.put("epoch", (double) queue.pass());
    counts.put("skipped_updates", (double) skippedUpdates);
    for (Drops one : drops.values()) {
      counts.merge(Totals.DROPPED + one.reason, (double) one.total(), Double::sum);
    }
    counts.put("version", (double) version);
    return counts;
  }

  @Override
  protected void finishInput() throws Exception {
    if (!batch.isEmpty()) {
      step();
    }
    if (learned > publishedAt) {
      publish();
    }
    Map<String, Double> summary = counts();
    summary.put("restarts", restarts());
    summary.put("updates", (double) trainer.steps());
    summary.put("loss", lastMetrics.getOrDefault("loss", 0.0));
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  private void publish() throws IOException {
    long parent = version;
    version = parent + 1;
    publishedAt = learned;
    lastMetrics.put("version", (double) version);
    emitLater(
        publisher.policy(
            new Publisher.Version(
                name(),
                version,
                parent,
                0,
                trainer.steps(),
                Map.of("judgments", judgments, "feedback", feedback),
                lastMetrics,
                Instant.now()),
            policy));
    List<LearnedRecords> learnedFrom =
        section().loss().isOfPairs()
            ? List.of(judgmentLineage)
            : List.of(judgmentLineage, feedbackLineage);
    LearnedRecords.publish(learnedFrom, version, Instant.now())
        .forEach(part -> emitLater(Outputs.LINEAGE, part));
  }

  /**
   * The operator's state beside its trainer.
   *
   * @param batch the incomplete batch
   * @param dropped records by topic and reason, as in {@code judgments/stale}
   */
  private record State(
      List<Opinion> inbox,
      List<Opinion> arrived,
      ExampleQueue.State queue,
      List<Example> batch,
      long judgments,
      long feedback,
      long learned,
      long skippedUpdates,
      long publishedAt,
      long version,
      Map<String, Double> lastMetrics,
      Map<String, Long> dropped,
      long replaced,
      LearnedRecords.State judgmentLineage,
      LearnedRecords.State feedbackLineage,
      @Nullable @AvroDefault("null") List<Provenance> partlyLearned) {}

  @Override
  protected CopyBudget copies() {
    return settings.copies();
  }

  @Override
  public void writeState(StateWriter out) throws IOException {
    Map<String, Long> dropped = new TreeMap<>();
    drops.forEach((name, count) -> dropped.put(name, count.total()));
    out.write(
        new State(
            inbox(),
            arrived,
            queue.state(),
            batch,
            judgments,
            feedback,
            learned,
            skippedUpdates,
            publishedAt,
            version,
            lastMetrics,
            dropped,
            replaced,
            judgmentLineage.state(),
            feedbackLineage.state(),
            List.copyOf(partlyLearned)));
    trainer.write(out);
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    restoreInbox(state.inbox(), 0);
    arrived = new ArrayList<>(state.arrived());
    queue.restore(state.queue());
    batch = new ArrayList<>(state.batch());
    judgments = state.judgments();
    feedback = state.feedback();
    learned = state.learned();
    skippedUpdates = state.skippedUpdates();
    publishedAt = state.publishedAt();
    version = state.version();
    lastMetrics = new HashMap<>(state.lastMetrics());
    replaced = state.replaced();
    judgmentLineage.restore(state.judgmentLineage(), publishedAt > 0 ? version : 0, 0);
    feedbackLineage.restore(state.feedbackLineage(), publishedAt > 0 ? version : 0, 0);
    if (state.partlyLearned() != null) {
      partlyLearned.addAll(state.partlyLearned());
    }
    state.dropped().forEach((name, count) -> drops.get(name).total.add(count));
    trainer.read(in);
  }

  @Override
  public void closeModels() {
    Closing.closeAll(trainer, reference, policy == null ? null : policy.tokenizer(), backend);
  }
}
