package io.millrace.jobs.rejection;

import io.millrace.schemas.state.StateWriter;
import io.millrace.schemas.state.StateReader;
import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
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
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import io.millrace.model.rejection.RejectionFigures;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the best response to each prompt in a bag with those of all earlier versions, and after so
 * many prompts fine-tunes a policy on the top of it: scores the bag anew, selects, learns,
 * publishes. All of that is done in pieces, so that barriers pass in between.
 */
public final class RejectionSamplingOperator
    extends TrainingOperator<Candidates, StagedCheckpoint> {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(RejectionSamplingOperator.class);
  private static final String JOB = "rejection-sampling";

  /** The job under which the figures of single updates stand. */
  private static final String UPDATE_JOB = JOB + "-update";

  /** Entries of the bag that are scored anew in one piece. */
  private static final int SCORED_TOGETHER = 64;

  /** Candidates that wait while a version is learned; others wait outside. */
  private static final int CAPACITY = 64;

  /** What is being done; written by its name. */
  private enum Phase {
    COLLECTING,
    SCORING,
    LEARNING
  }

  private final RuntimeSettings settings;

  private transient Backend backend;
  private transient RewardModels rewardModels;
  private transient Publisher publisher;
  private transient boolean restored;

  // State.
  private transient Phase phase;
  private transient RejectionBag bag;
  private transient RejectionFigures figures;
  private transient LatestModels latest;
  private transient FineTuning fineTuning; // While learning.
  private transient long startVersion; // While learning; 0 for none of its name.
  private transient Map<String, Double> lastFigures;
  private transient long prompts;
  private transient long withoutWinner;
  private transient long sincePublished;
  private transient long truncatedSince;
  private transient long emptySince;
  private transient long updates;
  private transient long versions;
  private transient long version;

  public RejectionSamplingOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private RejectionSamplingSection section() {
    return settings.config().section(RejectionSamplingSection.class);
  }

  /** The name of what learns. */
  private String name() {
    return section().hasStudent() ? section().studentName() : settings.config().model().name();
  }

  /** What learns where nothing has sampled yet. */
  private String initialUri() {
    return section().hasStudent() ? section().student() : settings.config().model().initial();
  }

  @Override
  public void openModels() throws Exception {
    super.openModels();
    backend = settings.backend();
    rewardModels = new RewardModels(backend, settings.checkpoints());
    publisher = settings.publisher();
    version = publisher.latestVersion(name(), Topic.POLICY_CHECKPOINTS, name());
    if (!section().hasStudent()) {
      version = Math.max(version, versionOf(initialUri(), name()));
    }
    phase = Phase.COLLECTING;
    figures = newFigures();
    latest = LatestModels.none();
    lastFigures = new HashMap<>();
    bag =
        new RejectionBag(
            new RejectionBag.Settings(
                section().bagCapacity(),
                section().topShare(),
                section().versions() == Versions.LAST,
                settings.config().section(PpoSection.class).piecewiseReward()));
  }

  /** The version of a published checkpoint; 0 where it is none of that name. */
  private long versionOf(String uri, String name) throws IOException {
    try (LocalCheckpoint checkpoint = settings.checkpoints().openDescription(uri)) {
      return CheckpointOutline.read(checkpoint.directory())
          .manifest()
          .filter(manifest -> manifest.name().equals(name))
          .map(CheckpointManifest::version)
          .orElse(0L);
    }
  }

  private RejectionFigures newFigures() {
    return new RejectionFigures(section().samplesPerPrompt(), section().temperatures());
  }

  @Override
  public void open() throws Exception {
    if (!restored && !section().bag().isBlank()) {
      BagFile.read(section().bag()).forEach(bag::add);
    }
    super.open();
  }

  @Override
  protected int capacity() {
    return CAPACITY;
  }

  @Override
  protected boolean work() throws IOException {
    if (phase != Phase.COLLECTING) {
      advanceVersion();
      return true;
    }
    if (sincePublished >= section().promptsPerVersion()) {
      phase = Phase.SCORING;
      return true;
    }
    Candidates candidates = poll();
    if (candidates == null) {
      return false;
    }
    take(candidates);
    release(1);
    return true;
  }

  private void take(Candidates candidates) {
    prompts++;
    sincePublished++;
    truncatedSince += candidates.truncated;
    emptySince += candidates.empty;
    latest = LatestModels.of(candidates);
    candidates.addTo(figures);
    if (candidates.hasWinner()) {
      bag.add(candidates.entry());
    } else {
      withoutWinner++;
    }
  }

  /** The next piece of the work on a version. */
  private void advanceVersion() throws IOException {
    if (phase == Phase.SCORING) {
      List<Entry> stale = staleScores();
      if (stale.isEmpty()) {
        rewardModels.close();
        beginLearning();
      } else {
        scoreAnew(stale);
      }
      return;
    }
    Optional<FineTuning.Update> update = fineTuning.advance();
    if (update.isPresent()) {
      tell(update.get());
    } else {
      publish();
    }
  }

  private List<Entry> staleScores() {
    boolean possible =
        section().rescore()
            && latest.areKnown()
            && !CheckpointStore.isRetired(latest.helpfulnessUri())
            && !CheckpointStore.isRetired(latest.safetyUri());
    return possible
        ? bag.staleScores(latest.helpfulnessVersion(), latest.safetyVersion(), SCORED_TOGETHER)
        : List.of();
  }

  private void scoreAnew(List<Entry> entries) throws IOException {
    List<int[]> sequences = entries.stream().map(Entry::tokens).toList();
    RewardModels.Scores scores = rewardModels.score(latest.rewardModels(), sequences);
    float[] helpfulness = scores.helpfulness();
    float[] safety = scores.safety();
    for (int i = 0; i < helpfulness.length; i++) {
      bag.rescore(
          entries.get(i),
          new Scores(
              helpfulness[i], safety[i], latest.helpfulnessVersion(), latest.safetyVersion()));
    }
  }

  private void beginLearning() throws IOException {
    bag.evict();
    List<Entry> selected = bag.select();
    lastFigures = versionFigures(selected);
    String start = startUri();
    startVersion = versionOf(start, name());
    fineTuning = new FineTuning(settings, backend, start, selected, nextVersion());
    lastFigures.put("bag/too-long", (double) fineTuning.tooLong());
    lastFigures.put("examples", (double) fineTuning.examples());
    if (fineTuning.examples() > 0) {
      phase = Phase.LEARNING;
    } else {
      LOG.warn("None of the responses to {} prompts can be learned from", sincePublished);
      finishVersion();
    }
  }

  private String startUri() {
    boolean sampler =
        !section().hasStudent() && section().startFrom() == StartFrom.LATEST && latest.areKnown();
    if (sampler && CheckpointStore.isRetired(latest.policyUri())) {
      LOG.warn("{} is retired: fine-tuning starts from {}", latest.policyUri(), initialUri());
      return initialUri();
    }
    return sampler ? latest.policyUri() : initialUri();
  }

  /** Above what this job published and, unless a student learns, what it samples with. */
  private long nextVersion() {
    return 1 + (section().hasStudent() ? version : Math.max(version, latest.policyVersion()));
  }

  private Map<String, Double> versionFigures(List<Entry> selected) {
    Map<String, Double> all = new HashMap<>(figures.figures());
    if (sincePublished > 0) {
      double responses = (double) sincePublished * section().samplesPerPrompt();
      all.put("rejection/truncated-share", truncatedSince / responses);
      all.put("rejection/empty-share", emptySince / responses);
    }
    if (latest.areKnown()) {
      all.put("rejection/sampler-version", (double) latest.policyVersion());
      all.put("rejection/helpfulness-version", (double) latest.helpfulnessVersion());
      all.put("rejection/safety-version", (double) latest.safetyVersion());
    }
    all.put("bag/entries", (double) bag.size());
    all.put("bag/selected", (double) selected.size());
    all.put("bag/duplicates", (double) bag.duplicates());
    all.put("bag/evicted", (double) bag.evicted());
    all.put("bag/rescored", (double) bag.rescored());
    selected.stream()
        .mapToDouble(bag::reward)
        .average()
        .ifPresent(reward -> all.put("bag/selected-reward", reward));
    return all;
  }

  private void tell(FineTuning.Update update) {
    updates++;
    emitMetricsLater(Outputs.metrics(
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
    lastFigures.put("updates", (double) fineTuning.updates());
    lastFigures.put("loss", fineTuning.loss());
    lastFigures.values().removeIf(figure -> !Double.isFinite(figure));
    version = nextVersion();
    versions++;
    Map<String, Double> metrics = Map.copyOf(lastFigures);
    long responses = prompts * section().samplesPerPrompt();
    PolicyModel policy = fineTuning.policy();
    emitLater(
        publisher.policy(
            new Publisher.Version(
                name(),
                version,
                startVersion >= version ? 0 : startVersion,
                0,
                updates,
                Map.of("prompts", prompts, "responses", responses),
                metrics,
                Instant.now()),
            policy));
    finishVersion();
  }

  private void finishVersion() {
    fineTuning.close();
    fineTuning = null;
    phase = Phase.COLLECTING;
    figures = newFigures();
    sincePublished = 0;
    truncatedSince = 0;
    emptySince = 0;
    emitMetricsLater(Outputs.metrics(JOB, version, Map.copyOf(lastFigures), Instant.now()));
  }

  /** What came since the last version becomes one; without a prompt the bag alone does. */
  @Override
  protected void finishInput() throws Exception {
    boolean bagAlone = prompts == 0 && versions == 0 && bag.size() > 0;
    if (phase == Phase.COLLECTING && (sincePublished > 0 || bagAlone)) {
      phase = Phase.SCORING;
    }
    while (phase != Phase.COLLECTING) {
      advanceVersion();
    }
    if (versions > 0) {
      BagFile.leave(settings.config(), version, bag.entries());
    }
    Map<String, Double> summary = new HashMap<>(lastFigures);
    summary.put("prompts", (double) prompts);
    summary.put("responses", (double) prompts * section().samplesPerPrompt());
    summary.put("without-winner", (double) withoutWinner);
    summary.put("versions", (double) versions);
    summary.put("version", (double) version);
    summary.put("restarts", (double) getRuntimeContext().getTaskInfo().getAttemptNumber());
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
  }

  @Override
  public void writeState(StateWriter state) throws IOException {
    DataOutputStream out = state.raw();
    StateIo.writeList(out, inbox(), Candidates::write);
    StateIo.writeText(out, phase.name());
    latest.write(out);
    out.writeLong(prompts);
    out.writeLong(withoutWinner);
    out.writeLong(sincePublished);
    out.writeLong(truncatedSince);
    out.writeLong(emptySince);
    out.writeLong(updates);
    out.writeLong(versions);
    out.writeLong(version);
    StateIo.writeFigures(out, lastFigures);
    figures.write(out);
    bag.write(out);
    if (phase == Phase.LEARNING) {
      out.writeLong(startVersion);
      fineTuning.write(state);
    }
  }

  @Override
  public void readState(StateReader state) throws IOException {
    DataInputStream in = state.raw();
    restoreInbox(StateIo.readList(in, Candidates::read), 0);
    restored = true;
    phase = Phase.valueOf(StateIo.readText(in));
    latest = LatestModels.read(in);
    prompts = in.readLong();
    withoutWinner = in.readLong();
    sincePublished = in.readLong();
    truncatedSince = in.readLong();
    emptySince = in.readLong();
    updates = in.readLong();
    versions = in.readLong();
    version = in.readLong();
    lastFigures.putAll(StateIo.readFigures(in));
    figures.read(in);
    bag.read(in);
    if (phase == Phase.LEARNING) {
      startVersion = in.readLong();
      // The weights are about to be read: any of the right shape will do.
      fineTuning = new FineTuning(settings, backend, initialUri(), bag.select(), nextVersion());
      fineTuning.read(state);
    }
  }

  @Override
  public void closeModels() {
    Closing.closeAll(fineTuning, rewardModels, backend);
  }
}
