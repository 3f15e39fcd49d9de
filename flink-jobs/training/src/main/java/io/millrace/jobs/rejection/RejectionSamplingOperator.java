package io.millrace.jobs.rejection;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LearnedRecords;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.Publisher;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rejection.RejectionSamplingSection.StartFrom;
import io.millrace.jobs.rejection.RejectionSamplingSection.Versions;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.jobs.runtime.TrainingOperator;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the best response to each prompt in a bag with those of all earlier versions. After {@code
 * rejection-sampling.prompts-per-version} prompts it scores the bag anew, selects its best entries,
 * fine-tunes a policy on them, and publishes it. The work comes in pieces, and barriers pass in
 * between.
 */
public final class RejectionSamplingOperator
    extends TrainingOperator<Candidates, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(RejectionSamplingOperator.class);
  private static final String JOB = "rejection-sampling";

  /** The job name on metrics of single updates. */
  private static final String UPDATE_JOB = JOB + "-update";

  /** Candidates that wait while a version is learned; the rest waits upstream. */
  private static final int CAPACITY = 64;

  /** What the operator works on. Each version takes all three phases, in this order. */
  private enum Phase {
    COLLECTING,
    SCORING,
    LEARNING
  }

  private final RuntimeSettings settings;

  private transient Backend backend;
  private transient RewardModels rewardModels;
  private transient BagScorer bagScorer;
  private transient Publisher publisher;
  private transient boolean restored;

  // State.
  private transient Phase phase;
  private transient RejectionBag bag;
  private transient Collected collected;

  /** The models of the last candidates; null before the first. */
  private transient SamplingModels latest;

  private transient LearnedRecords lineage;
  private transient FineTuning fineTuning; // In phase LEARNING.
  private transient long startVersion; // In phase LEARNING; 0 for a start from another model.
  private transient Map<String, Double> lastMetrics;
  private transient long prompts;
  private transient long guidedResponses;
  private transient long withoutWinner;
  private transient long updates;
  private transient long versions;
  private transient volatile long version;

  public RejectionSamplingOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private RejectionSamplingSection section() {
    return settings.config().section(RejectionSamplingSection.class);
  }

  /** The name of the policy that learns. */
  private String name() {
    return section().hasStudent() ? section().studentName() : settings.config().model().name();
  }

  /** The policy that learns as long as nothing was sampled. */
  private String initialUri() {
    return section().hasStudent() ? section().student() : settings.config().model().initial();
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    backend = settings.backend();
    rewardModels =
        new RewardModels(
            backend,
            settings.checkpoints(),
            settings.config().section(PpoSection.class).piecewiseReward());
    publisher = settings.publisher(initialUri());
    version = publisher.latestPolicy(name());
    if (!section().hasStudent()) {
      version = Math.max(version, versionOf(initialUri(), name()));
    }
    lineage = new LearnedRecords(name(), Topic.PROMPTS);
    phase = Phase.COLLECTING;
    collected = new Collected(section());
    lastMetrics = new HashMap<>();
    bag =
        new RejectionBag(
            new RejectionBag.Settings(
                section().bagCapacity(),
                section().topShare(),
                section().versions() == Versions.LAST,
                settings.config().section(PpoSection.class).piecewiseReward()));
    bagScorer = new BagScorer(bag, rewardModels);
  }

  /** The version of a published checkpoint; 0 for a checkpoint of another name. */
  private long versionOf(String uri, String name) throws IOException {
    return manifest(uri)
        .filter(manifest -> manifest.name().equals(name))
        .map(CheckpointManifest::version)
        .orElse(0L);
  }

  private Optional<CheckpointManifest> manifest(String uri) throws IOException {
    try (LocalCheckpoint checkpoint = settings.checkpoints().openDescription(uri)) {
      return CheckpointOutline.read(checkpoint.directory()).manifest();
    }
  }

  @Override
  public void open() throws Exception {
    if (!restored && !section().bag().isBlank()) {
      BagFile.read(section().bag()).stream()
          .filter(entry -> !dropsWithdrawn(entry.provenance()))
          .forEach(bag::add);
    }
    super.open();
  }

  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.PROMPTS);
  }

  @Override
  protected Provenance provenance(Candidates candidates) {
    return candidates.provenance();
  }

  /**
   * A version begins anew if the bag without the withdrawn entries selects others than it is being
   * fine-tuned on. A selected entry that leaves is such a case; so is one whose absence makes the
   * top share smaller.
   */
  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    List<Entry> selected = phase == Phase.LEARNING ? bag.select() : List.of();
    int removed = bag.removeIf(entry -> withdrawn.test(entry.provenance()));
    if (removed > 0 && phase == Phase.LEARNING && !selected.equals(bag.select())) {
      LOG.info("Version {} is fine-tuned anew, without withdrawn responses", nextVersion());
      fineTuning.close();
      fineTuning = null;
      phase = Phase.SCORING;
    }
    return removed + super.removeWithdrawn(withdrawn);
  }

  @Override
  protected int capacity() {
    return CAPACITY;
  }

  @Override
  protected long version() {
    return version;
  }

  @Override
  protected boolean work() throws IOException {
    return switch (phase) {
      case COLLECTING -> collect();
      case SCORING -> {
        score();
        yield true;
      }
      case LEARNING -> {
        learn();
        yield true;
      }
    };
  }

  private boolean collect() {
    if (collected.prompts() >= section().promptsPerVersion()) {
      phase = Phase.SCORING;
      return true;
    }
    Candidates candidates = poll();
    if (candidates == null) {
      return false;
    }
    prompts++;
    latest = candidates.models();
    collected.add(candidates);
    if (candidates.guided() != null) {
      guidedResponses += candidates.guided().responses();
    }
    if (candidates.hasWinner()) {
      bag.add(candidates.winner());
    } else {
      withoutWinner++;
    }
    release(1);
    return true;
  }

  /** Scores some entries of the bag anew; begins to learn once all scores are current. */
  private void score() throws IOException {
    boolean possible = section().rescore() && latest != null && !latest.rewardModels().isRetired();
    if (!possible || !bagScorer.scoreNext(latest.rewardModels())) {
      rewardModels.close();
      beginLearning();
    }
  }

  private void beginLearning() throws IOException {
    bag.evict();
    List<Entry> selected = bag.select();
    lastMetrics = versionMetrics(selected);
    String start = startUri();
    startVersion = versionOf(start, name());
    fineTuning = new FineTuning(settings, backend, start, selected, nextVersion());
    lastMetrics.put("bag/too-long", (double) fineTuning.tooLong());
    lastMetrics.put("examples", (double) fineTuning.examples());
    if (fineTuning.examples() > 0) {
      Optional<CheckpointManifest> parent = manifest(start);
      // What a fine-tuning that was given up learned from is in no weights.
      lineage = new LearnedRecords(name(), Topic.PROMPTS);
      lineage.startFrom(
          parent.map(CheckpointManifest::name).orElse(""),
          parent.map(CheckpointManifest::version).orElse(0L));
      listLearned(selected);
      phase = Phase.LEARNING;
    } else {
      LOG.warn(
          "No response to {} prompts can be learned from: no version is published",
          collected.prompts());
      finishVersion();
    }
  }

  private void listLearned(List<Entry> selected) {
    fineTuning.learnedPrompts().forEach(lineage::add);
    for (Entry entry : selected) {
      lineage.scoredBy(entry.scores().helpfulnessVersion(), entry.scores().safetyVersion());
    }
  }

  private String startUri() {
    boolean sampler =
        !section().hasStudent() && section().startFrom() == StartFrom.LATEST && latest != null;
    if (sampler && latest.policy().isRetired()) {
      LOG.warn("{} is retired: fine-tuning starts from {}", latest.policy().uri(), initialUri());
      return initialUri();
    }
    return sampler ? latest.policy().uri() : initialUri();
  }

  /** Above the last published version and, unless a student learns, above the sampling policy. */
  private long nextVersion() {
    long sampler = section().hasStudent() || latest == null ? 0 : latest.policy().version();
    return 1 + Math.max(version, sampler);
  }

  private Map<String, Double> versionMetrics(List<Entry> selected) {
    Map<String, Double> metrics = collected.metrics();
    if (latest != null) {
      metrics.put("rejection/sampler-version", (double) latest.policy().version());
      metrics.put(
          "rejection/helpfulness-version", (double) latest.rewardModels().helpfulness().version());
      metrics.put("rejection/safety-version", (double) latest.rewardModels().safety().version());
    }
    metrics.put("bag/entries", (double) bag.size());
    metrics.put("bag/selected", (double) selected.size());
    metrics.put("bag/duplicates", (double) bag.duplicates());
    metrics.put("bag/evicted", (double) bag.evicted());
    metrics.put("bag/rescored", (double) bag.rescored());
    selected.stream()
        .mapToDouble(bag::reward)
        .average()
        .ifPresent(reward -> metrics.put("bag/selected-reward", reward));
    return metrics;
  }

  /** Makes one update; publishes after the last. */
  private void learn() throws IOException {
    Optional<FineTuning.Update> update = fineTuning.step();
    if (update.isPresent()) {
      report(update.get());
    } else {
      publish();
    }
  }

  private void report(FineTuning.Update update) {
    updates++;
    emitMetricsLater(
        Outputs.metrics(
            UPDATE_JOB,
            updates,
            Map.of(
                "loss", update.step().loss(),
                "lr", update.step().update().learningRate(),
                "gradient_norm", update.step().update().gradientNorm(),
                "tokens", (double) update.step().tokens(),
                "learned_tokens", (double) update.step().learnedTokens(),
                "examples", (double) update.examples(),
                "version", (double) nextVersion()),
            Instant.now()));
  }

  private void publish() throws IOException {
    lastMetrics.put("updates", (double) fineTuning.updates());
    lastMetrics.put("loss", fineTuning.loss());
    lastMetrics.values().removeIf(value -> !Double.isFinite(value));
    version = nextVersion();
    versions++;
    PolicyModel policy = fineTuning.policy();
    emitLater(
        publisher.policy(
            new Publisher.Version(
                name(),
                version,
                startVersion >= version ? 0 : startVersion,
                0,
                updates,
                Map.of("prompts", prompts, "responses", responses()),
                lastMetrics,
                Instant.now()),
            policy));
    lineage.publish(version, Instant.now()).forEach(record -> emitLater(Outputs.LINEAGE, record));
    finishVersion();
  }

  /** Responses sampled since the job's first start. */
  private long responses() {
    return prompts * section().samplesPerPrompt() + guidedResponses;
  }

  private void finishVersion() {
    fineTuning.close();
    fineTuning = null;
    phase = Phase.COLLECTING;
    collected = new Collected(section());
    emitMetricsLater(Outputs.metrics(JOB, version, Map.copyOf(lastMetrics), Instant.now()));
  }

  /**
   * The prompts since the last version become a version. Without any prompt, the bag that the run
   * started with becomes one.
   */
  @Override
  protected void finishInput() throws Exception {
    boolean bagAlone = prompts == 0 && versions == 0 && bag.size() > 0;
    if (phase == Phase.COLLECTING && (collected.prompts() > 0 || bagAlone)) {
      phase = Phase.SCORING;
    }
    while (phase != Phase.COLLECTING) {
      work();
    }
    if (versions > 0) {
      BagFile.leave(settings.config(), version, bag.entries());
    }
    Map<String, Double> summary = new HashMap<>(lastMetrics);
    summary.put("prompts", (double) prompts);
    summary.put("responses", (double) responses());
    summary.put("without-winner", (double) withoutWinner);
    summary.put("versions", (double) versions);
    summary.put("version", (double) version);
    summary.put("restarts", restarts());
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  /**
   * The operator's state. In phase LEARNING the state of the fine-tuning follows.
   *
   * @param latest null before the first candidates
   */
  private record State(
      List<Candidates> inbox,
      Phase phase,
      RejectionBag.State bag,
      Collected.State collected,
      @Nullable SamplingModels latest,
      Map<String, Double> lastMetrics,
      long startVersion,
      long prompts,
      long withoutWinner,
      long updates,
      long versions,
      long version,
      @Nullable @AvroDefault("null") LearnedRecords.State lineage,
      @AvroDefault("0") long guidedResponses) {}

  @Override
  protected CopyBudget copies() {
    return settings.copies();
  }

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(
        new State(
            inbox(),
            phase,
            bag.state(),
            collected.state(),
            latest,
            lastMetrics,
            startVersion,
            prompts,
            withoutWinner,
            updates,
            versions,
            version,
            lineage.state(),
            guidedResponses));
    if (phase == Phase.LEARNING) {
      fineTuning.write(out);
    }
  }

  @Override
  public void readState(StateReader in) throws IOException {
    restored = true;
    State state = in.read(State.class);
    restoreInbox(state.inbox(), 0);
    phase = state.phase();
    bag.restore(state.bag());
    collected.restore(state.collected());
    latest = state.latest();
    lastMetrics = new HashMap<>(state.lastMetrics());
    startVersion = state.startVersion();
    prompts = state.prompts();
    withoutWinner = state.withoutWinner();
    updates = state.updates();
    versions = state.versions();
    version = state.version();
    guidedResponses = state.guidedResponses();
    lineage.restore(state.lineage(), 0, 0);
    if (phase == Phase.LEARNING) {
      // The weights are read next: any weights of the right shape will do.
      List<Entry> selected = bag.select();
      fineTuning = new FineTuning(settings, backend, initialUri(), selected, nextVersion());
      fineTuning.read(in);
      if (state.lineage() == null) {
        lineage.startFrom(name(), startVersion);
        listLearned(selected);
      }
    }
  }

  @Override
  public void closeModels() {
    Closing.closeAll(fineTuning, rewardModels, backend);
  }
}
