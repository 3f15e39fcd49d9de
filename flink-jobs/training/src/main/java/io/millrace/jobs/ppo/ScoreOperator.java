package io.millrace.jobs.ppo;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LatestRewardModels;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.runtime.Outlet;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.jobs.runtime.SourceHold;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Predicate;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Scores rollouts with the latest announced reward models and takes their log-probs under the
 * reference policy, on a background thread. It holds at most two batches. Until both reward models
 * are announced it holds the source of rollouts as well: if the operator did not take the rollouts
 * that are on their way, it would not read the announcements either.
 *
 * <p>Batches are formed by count: the last bits of a score may depend on the other rollouts of the
 * batch, and a run that is killed must end in the same bits as one that is not. With {@code
 * ppo.score-max-wait} an incomplete batch is formed after that time, too. A batch is scored by the
 * reward models that were announced when it was formed.
 */
public final class ScoreOperator extends BackgroundOperator<ScoredRollout>
    implements TwoInputStreamOperator<Rollout, RewardCheckpoint, ScoredRollout>, BoundedMultiInput {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(ScoreOperator.class);

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel reference;
  private transient RolloutScorer scorer;
  private transient Inlet inlet;
  private transient Outlet outlet;
  private transient SourceHold hold;
  private transient boolean announcementsEnded;
  private transient boolean rolloutsEnded;

  /** Rollouts that were taken in and not yet emitted. */
  private transient int held;

  /** Batches since the task began. */
  private transient long batchesFormed;

  // State that only the task thread uses.
  private transient List<Rollout> waiting;
  private transient LatestRewardModels latest;

  // State that goes from the task thread to the scoring thread and back. The scoring thread removes
  // a batch once it is scored.
  private transient Queue<RolloutScorer.Batch> batches;
  private transient Queue<ScoredRollout> outbox;

  public ScoreOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private PpoSection section() {
    return settings.config().section(PpoSection.class);
  }

  @Override
  public void openModels() throws IOException {
    backend = settings.backend();
    reference = settings.referencePolicy(backend);
    scorer =
        new RolloutScorer(
            new RewardModels(backend, settings.checkpoints(), section().piecewiseReward()),
            reference,
            section().classifier(),
            (float) settings.config().section(RolloutSection.class).temperature(),
            Optional.of(new SamplerLogProbs(settings, backend, reference)));
    waiting = new ArrayList<>();
    latest = new LatestRewardModels();
    batches = new ConcurrentLinkedQueue<>();
    outbox = new ConcurrentLinkedQueue<>();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    outlet = createOutlet();
    hold = createHold(Topic.ROLLOUTS);
    Gauge<Integer> waitingForModels = () -> models().isEmpty() ? waiting.size() : 0;
    getMetricGroup().gauge("rollouts_waiting_for_reward_models", waitingForModels);
    formBatches();
    wake();
  }

  @Override
  protected String activity() {
    return "scoring";
  }

  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.ROLLOUTS);
  }

  /** A batch that loses rollouts is scored from its beginning, without them. */
  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) {
    Predicate<Rollout> rollouts = rollout -> withdrawn.test(Provenance.of(rollout));
    int before = held;
    held -= removeFrom(waiting, rollouts);
    held -= removeFrom(outbox, scored -> rollouts.test(scored.rollout()));
    List<RolloutScorer.Batch> all = new ArrayList<>(batches);
    if (all.stream().anyMatch(batch -> batch.rollouts().stream().anyMatch(rollouts))) {
      scorer.abandon();
      batches.clear();
      for (RolloutScorer.Batch batch : all) {
        List<Rollout> left = new ArrayList<>(batch.rollouts());
        held -= removeFrom(left, rollouts);
        if (!left.isEmpty()) {
          batches.add(new RolloutScorer.Batch(left, batch.models()));
        }
      }
    }
    return before - held;
  }

  private static <T> int removeFrom(Collection<T> records, Predicate<T> removed) {
    int before = records.size();
    records.removeIf(removed);
    return before - records.size();
  }

  @Override
  public void processElement1(StreamRecord<Rollout> element) throws Exception {
    inlet.await(() -> models().isEmpty() || held < capacity());
    // A withdrawal may have come while the record waited.
    if (dropsWithdrawn(Provenance.of(element.getValue()))) {
      return;
    }
    waiting.add(element.getValue());
    held++;
    formBatches();
    wake();
  }

  @Override
  public void processElement2(StreamRecord<RewardCheckpoint> element) {
    latest.offer(element.getValue());
    formBatches();
    wake();
  }

  private int capacity() {
    return 2 * section().scoreBatchSize();
  }

  /** The models for the next batch. A bounded run waits for the last announcement. */
  private Optional<RewardModelPair> models() {
    return bounded && !announcementsEnded ? Optional.empty() : latest.pair();
  }

  private void formBatches() {
    models()
        .ifPresent(
            models -> {
              while (waiting.size() >= section().scoreBatchSize()) {
                formBatch(section().scoreBatchSize(), models);
              }
              formLaterIfIncomplete();
            });
    boolean full = !announcementsEnded && models().isEmpty() && held >= capacity();
    if (full && !hold.isHeld() && !bounded) {
      LOG.warn(
          "No {} reward model is announced: rollouts wait in the topic. Run reward-model",
          latest.missing());
    }
    hold.set(full);
  }

  /** Scores an incomplete batch once it has waited for {@code ppo.score-max-wait}. */
  private void formLaterIfIncomplete() {
    if (waiting.isEmpty() || section().scoreMaxWait().isZero() || bounded) {
      return;
    }
    long before = batchesFormed;
    after(
        section().scoreMaxWait(),
        () -> {
          Optional<RewardModelPair> models = models();
          if (batchesFormed == before && !waiting.isEmpty() && models.isPresent()) {
            formBatch(waiting.size(), models.get());
            wake();
          }
          formBatches();
        });
  }

  private void formBatch(int size, RewardModelPair models) {
    batchesFormed++;
    List<Rollout> next = waiting.subList(0, size);
    batches.add(new RolloutScorer.Batch(next, models));
    next.clear();
  }

  /** Runs one pass of one model over a batch. */
  @Override
  protected boolean work() throws IOException {
    if (!scorer.busy()) {
      RolloutScorer.Batch next = batches.peek();
      if (next == null) {
        return false;
      }
      scorer.begin(next);
    }
    Optional<List<ScoredRollout>> scored = scorer.nextPass();
    if (scored.isPresent()) {
      batches.remove();
      outbox.addAll(scored.get());
    }
    return true;
  }

  /** Emits scored rollouts while the downstream operator takes them. */
  @Override
  protected void flush() {
    while (!outbox.isEmpty() && outlet.isOpen()) {
      emit(outbox.remove());
      held--;
    }
  }

  @Override
  public void endInput(int input) throws Exception {
    if (input == 1) {
      rolloutsEnded = true;
    } else {
      announcementsEnded = true;
      if (hold.isHeld()) {
        latest.require(waiting.size(), "rollouts");
      }
      formBatches();
    }
    if (rolloutsEnded && announcementsEnded) {
      if (!waiting.isEmpty()) {
        formBatch(waiting.size(), latest.require(waiting.size(), "rollouts"));
      }
      wake();
      flushUntil(() -> held == 0);
    }
    wake();
  }

  @Override
  protected SharedState sharedState() {
    return latest;
  }

  private record State(
      List<Rollout> waiting, List<RolloutScorer.Batch> batches, List<ScoredRollout> scored) {}

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(new State(waiting, new ArrayList<>(batches), new ArrayList<>(outbox)));
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    outbox.addAll(state.scored());
    for (RolloutScorer.Batch batch : state.batches()) {
      if (batch.models().isRetired()) {
        // The state is older than what the store keeps: these rollouts wait for a later model.
        waiting.addAll(batch.rollouts());
      } else {
        batches.add(batch);
      }
    }
    waiting.addAll(state.waiting());
    held =
        waiting.size()
            + outbox.size()
            + batches.stream().mapToInt(batch -> batch.rollouts().size()).sum();
  }

  @Override
  public void closeModels() {
    Closing.closeAll(scorer, reference, backend);
  }
}
