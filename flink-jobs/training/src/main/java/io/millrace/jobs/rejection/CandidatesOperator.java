package io.millrace.jobs.rejection;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Announcement;
import io.millrace.jobs.models.LatestRewardModels;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.jobs.runtime.SourceHold;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Predicate;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Samples K responses to each prompt with the latest policy and scores them with the latest reward
 * models, on a background thread.
 *
 * <p>The prompts in flight are the state. A prompt leaves the state when its candidates are
 * emitted, in the order of the prompts. Until both reward models are announced, the operator takes
 * few prompts and holds their source: the others wait in the topic.
 */
public final class CandidatesOperator extends BackgroundOperator<Candidates>
    implements TwoInputStreamOperator<Prompt, Announcement, Candidates>, BoundedMultiInput {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(CandidatesOperator.class);

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient Inlet inlet;
  private transient SourceHold hold;
  private transient boolean promptsEnded;
  private transient boolean warnedOfWaiting;
  private transient long nextKey;

  // Shared with the sampling thread; bounded by the prompts in flight.
  private transient CandidateSampler sampler;
  private transient Queue<CandidateSampler.Finished> outbox;

  /** The models that score from now on; null before both are announced. */
  private transient volatile RewardModelPair models;

  // State that only the task thread uses.
  private transient LatestRewardModels latest;

  /** In the order of arrival. */
  private transient TreeMap<Long, Prompt> inFlight;

  /** Candidates that wait for those of an earlier prompt. */
  private transient Map<Long, Candidates> finished;

  private transient boolean announcementsEnded;

  public CandidatesOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private RejectionSamplingSection section() {
    return settings.config().section(RejectionSamplingSection.class);
  }

  @Override
  public void openModels() throws IOException {
    backend = settings.backend();
    sampler = new CandidateSampler(settings, backend, capacity());
    outbox = new ConcurrentLinkedQueue<>();
    latest = new LatestRewardModels();
    inFlight = new TreeMap<>();
    finished = new HashMap<>();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    hold = createHold(Topic.PROMPTS);
    Gauge<Integer> waiting = () -> models == null ? inFlight.size() : 0;
    getMetricGroup().gauge("prompts_waiting_for_reward_models", waiting);
    inFlight.forEach(sampler::submit);
    updateModels();
  }

  @Override
  protected String activity() {
    return "sampling";
  }

  /** The prompts in flight are the state, and only the task thread changes them. */
  @Override
  protected boolean pausesForSnapshots() {
    return false;
  }

  @Override
  protected Optional<Topic<?>> records() {
    return Optional.of(Topic.PROMPTS);
  }

  /** Responses to withdrawn prompts that are being sampled are dropped once they have ended. */
  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) {
    int before = inFlight.size();
    inFlight.values().removeIf(prompt -> withdrawn.test(Provenance.of(prompt)));
    finished.keySet().retainAll(inFlight.keySet());
    if (hold != null) {
      updateHold();
    }
    return before - inFlight.size();
  }

  /** Responses in flight that keep the engine full while the oldest prompt is finished. */
  private int capacity() {
    return 3 * settings.config().section(RolloutSection.class).batchSize()
        + 2 * section().mostSamples();
  }

  /** Lets the sampling thread use the latest models; a bounded run waits for the last ones. */
  private void updateModels() {
    models = bounded && !announcementsEnded ? null : latest.pair().orElse(null);
    updateHold();
    wake();
  }

  /** Keeps further prompts in their topic while the prompts in flight wait for models. */
  private void updateHold() {
    hold.set(models == null && !announcementsEnded && isFull());
  }

  private boolean isFull() {
    return inFlight.size() * section().mostSamples() >= capacity();
  }

  @Override
  public void processElement1(StreamRecord<Prompt> element) throws Exception {
    // If a prompt waited for room before the models are announced, the task would not read their
    // announcements.
    inlet.await(() -> models == null || !isFull());
    // A withdrawal may have come while the record waited.
    if (dropsWithdrawn(Provenance.of(element.getValue()))) {
      return;
    }
    if (!bounded && models == null) {
      checkWaiting();
    }
    long key = nextKey++;
    inFlight.put(key, element.getValue());
    sampler.submit(key, element.getValue());
    updateHold();
    wake();
  }

  private void checkWaiting() {
    if (inFlight.size() >= section().maxWaiting()) {
      throw new IllegalStateException(
          "%d prompts wait, and no %s reward model is announced: run reward-model, or raise rejection-sampling.max-waiting"
              .formatted(inFlight.size(), latest.missing()));
    }
    if (!warnedOfWaiting) {
      warnedOfWaiting = true;
      LOG.warn("No {} reward model is announced yet: prompts wait", latest.missing());
    }
  }

  @Override
  public void processElement2(StreamRecord<Announcement> element) {
    Announcement announced = element.getValue();
    if (announced.isPolicy()) {
      sampler.policy().offer(announced.model());
      wake();
    } else {
      latest.offer(announced.objective(), announced.model());
      updateModels();
    }
  }

  @Override
  protected boolean work() throws IOException {
    RewardModelPair now = models;
    if (now == null) {
      return false;
    }
    List<CandidateSampler.Finished> done = new ArrayList<>();
    boolean worked = sampler.sample(now, done);
    outbox.addAll(done);
    return worked;
  }

  /** Emits the candidates of the oldest prompts, up to the first prompt that is not finished. */
  @Override
  protected void flush() {
    for (CandidateSampler.Finished next = outbox.poll(); next != null; next = outbox.poll()) {
      if (inFlight.containsKey(next.key())) {
        finished.put(next.key(), next.candidates());
      }
    }
    while (!inFlight.isEmpty() && finished.containsKey(inFlight.firstKey())) {
      emit(finished.remove(inFlight.pollFirstEntry().getKey()));
    }
  }

  @Override
  public void endInput(int input) throws Exception {
    if (input == 1) {
      promptsEnded = true;
    } else {
      announcementsEnded = true;
      updateModels();
    }
    if (promptsEnded && announcementsEnded) {
      requireModels();
      flushUntil(inFlight::isEmpty);
    }
  }

  /** Fails for good if prompts wait for a model that will never be announced. */
  private void requireModels() {
    if (inFlight.isEmpty()) {
      return;
    }
    latest.require(inFlight.size(), "prompts");
    ModelRef policy = sampler.policy().latest();
    if (policy.isRetired()) {
      throw new SuppressRestartsException(
          new IllegalStateException(
              "%d prompts wait for a policy: %s was retired, and no later one is announced"
                  .formatted(inFlight.size(), policy.uri())));
    }
  }

  /** Every subtask follows the same policy and the same reward models. */
  @Override
  protected SharedState sharedState() {
    return new SharedState() {
      @Override
      public void write(StateWriter out) throws IOException {
        sampler.policy().write(out);
        latest.write(out);
      }

      @Override
      public void read(StateReader in) throws IOException {
        sampler.policy().read(in);
        latest.read(in);
      }
    };
  }

  private record State(List<Prompt> inFlight) {}

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(new State(List.copyOf(inFlight.values())));
  }

  @Override
  public void readState(StateReader in) throws IOException {
    in.read(State.class).inFlight().forEach(prompt -> inFlight.put(nextKey++, prompt));
  }

  @Override
  public void closeModels() {
    Closing.closeAll(sampler, backend);
  }
}
