package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Following;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.runtime.Outlet;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Scores rollouts with the latest announced reward models and takes their log-probs under the
 * reference policy, on a thread beside Flink's mailbox. Until both reward models are announced
 * rollouts wait, as state and without bound: to stop reading them would be to stop reading the
 * announcements. From then on as many are held as make two batches.
 *
 * <p>Batches are formed by count and never by time: the last bits of a score depend on what else is
 * in its batch, and a run that is killed must end in the same bits as one that is not. Waiting
 * costs nothing, since PPO waits for its own, larger batch. Which reward models score a batch is
 * settled when its last rollout comes, whenever it is scored.
 */
public final class ScoreOperator extends BackgroundOperator<ScoredRollout>
    implements TwoInputStreamOperator<Rollout, RewardCheckpoint, ScoredRollout>,
        BoundedMultiInput,
        Following {

  private static final long serialVersionUID = 1;

  /** 1 had no batches and nothing scored in it; 1 and 2 had what was announced. */
  private static final int STATE_FORMAT = 3;

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel reference;
  private transient RolloutScorer scorer;
  private transient SingleObject<Rollout> rolloutCodec;
  private transient SingleObject<RewardCheckpoint> checkpointCodec;
  private transient Inlet inlet;
  private transient Outlet outlet;
  private transient boolean announcementsEnded;
  private transient boolean rolloutsEnded;

  /** Rollouts taken in and not emitted. */
  private transient int held;

  // State of the mailbox alone.
  private transient List<Rollout> waiting;
  private transient Map<Objective, RewardCheckpoint> announced;

  // State: from the mailbox to the scoring thread, which takes a batch out when it has scored it,
  // and back.
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
    reference = settings.initialPolicy(backend);
    scorer =
        new RolloutScorer(
            new RewardModels(backend, settings.checkpoints()),
            reference,
            section().classifier(),
            (float) settings.config().section(RolloutSection.class).temperature());
    rolloutCodec = SingleObject.of(Rollout.class);
    checkpointCodec = SingleObject.of(RewardCheckpoint.class);
    waiting = new ArrayList<>();
    announced = new EnumMap<>(Objective.class);
    batches = new ConcurrentLinkedQueue<>();
    outbox = new ConcurrentLinkedQueue<>();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    outlet = createOutlet();
    formBatches();
    wake();
  }

  @Override
  protected String activity() {
    return "scoring";
  }

  @Override
  public void processElement1(StreamRecord<Rollout> element) throws Exception {
    inlet.await(() -> !ready() || held < 2 * section().scoreBatchSize());
    waiting.add(element.getValue());
    held++;
    formBatches();
    wake();
  }

  @Override
  public void processElement2(StreamRecord<RewardCheckpoint> element) {
    take(element.getValue());
    formBatches();
    wake();
  }

  /** The later of two reward models of an objective counts, where the store has it still. */
  private void take(RewardCheckpoint checkpoint) {
    if (CheckpointStore.isRetired(checkpoint.getUri())) {
      return;
    }
    announced.merge(
        checkpoint.getObjective(),
        checkpoint,
        (known, next) -> CheckpointStore.isEarlier(next.getUri(), known.getUri()) ? known : next);
  }

  private boolean ready() {
    // A bounded run scores with the last reward models there are.
    return announced.size() == Objective.values().length && (!bounded || announcementsEnded);
  }

  private void formBatches() {
    while (ready() && waiting.size() >= section().scoreBatchSize()) {
      formBatch(section().scoreBatchSize());
    }
  }

  private void formBatch(int size) {
    List<Rollout> next = waiting.subList(0, size);
    batches.add(new RolloutScorer.Batch(next, announced));
    next.clear();
  }

  /** One pass of one model over a batch. */
  @Override
  protected boolean advance() throws IOException {
    if (!scorer.busy()) {
      RolloutScorer.Batch next = batches.peek();
      if (next == null) {
        return false;
      }
      scorer.begin(next);
    }
    Optional<List<ScoredRollout>> scored = scorer.advance();
    if (scored.isPresent()) {
      batches.remove();
      outbox.addAll(scored.get());
    }
    return true;
  }

  /** Emits what has been scored, as far as it is taken. */
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
      formBatches();
    }
    if (rolloutsEnded && announcementsEnded && ready()) {
      if (!waiting.isEmpty()) {
        formBatch(waiting.size());
      }
      wake();
      flushUntil(() -> held == 0);
    }
    wake();
  }

  @Override
  protected int stateFormat() {
    return STATE_FORMAT;
  }

  @Override
  public void writeState(DataOutputStream out) throws IOException {
    StateIo.writeList(
        out,
        new ArrayList<>(batches),
        (stream, batch) -> {
          StateIo.writeList(stream, batch.rollouts(), this::write);
          StateIo.writeList(stream, List.copyOf(batch.models().values()), this::write);
        });
    StateIo.writeList(out, new ArrayList<>(outbox), ScoredRollout::write);
    StateIo.writeList(out, waiting, this::write);
  }

  @Override
  public void writeAnnounced(DataOutputStream out) throws IOException {
    StateIo.writeList(out, List.copyOf(announced.values()), this::write);
  }

  @Override
  public void readAnnounced(DataInputStream in) throws IOException {
    // Of a state that is older than what the store keeps: rollouts wait for the announcements that
    // follow.
    StateIo.readList(in, this::readCheckpoint).forEach(this::take);
  }

  @Override
  public void readState(DataInputStream in, int format) throws IOException {
    if (format >= 2) {
      StateIo.readList(in, this::readBatch).forEach(this::restore);
      outbox.addAll(StateIo.readList(in, ScoredRollout::read));
    }
    waiting.addAll(StateIo.readList(in, this::readRollout));
    if (format <= 2) {
      readAnnounced(in);
    }
    held =
        batches.stream().mapToInt(batch -> batch.rollouts().size()).sum()
            + outbox.size()
            + waiting.size();
  }

  /** Rollouts of a batch as it was formed, and the reward models that were to score it. */
  private record SavedBatch(List<Rollout> rollouts, List<RewardCheckpoint> models) {}

  private void restore(SavedBatch saved) {
    if (saved.models().stream().anyMatch(model -> CheckpointStore.isRetired(model.getUri()))) {
      waiting.addAll(saved.rollouts());
      return;
    }
    Map<Objective, RewardCheckpoint> models = new EnumMap<>(Objective.class);
    saved.models().forEach(model -> models.put(model.getObjective(), model));
    batches.add(new RolloutScorer.Batch(saved.rollouts(), models));
  }

  private SavedBatch readBatch(DataInput in) throws IOException {
    return new SavedBatch(
        StateIo.readList(in, this::readRollout), StateIo.readList(in, this::readCheckpoint));
  }

  private Rollout readRollout(DataInput in) throws IOException {
    return rolloutCodec.decode(StateIo.readBytes(in));
  }

  private RewardCheckpoint readCheckpoint(DataInput in) throws IOException {
    return checkpointCodec.decode(StateIo.readBytes(in));
  }

  private void write(DataOutput out, Rollout rollout) throws IOException {
    StateIo.writeBytes(out, rolloutCodec.encode(rollout));
  }

  private void write(DataOutput out, RewardCheckpoint checkpoint) throws IOException {
    StateIo.writeBytes(out, checkpointCodec.encode(checkpoint));
  }

  @Override
  public void closeModels() {
    Closing.closeAll(scorer, reference, backend);
  }
}
