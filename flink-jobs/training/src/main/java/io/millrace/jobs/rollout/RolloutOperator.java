package io.millrace.jobs.rollout;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.engine.OpenAiClient;
import io.millrace.jobs.rollout.engine.OpenAiEngine;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.jobs.runtime.SourceHold;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Samples responses with the latest announced policy, on a background thread.
 *
 * <p>The state is the prompts in flight. A prompt enters the state when the task takes it, and
 * leaves it when the last of its rollouts is emitted; both happen on the task thread. A Flink
 * checkpoint therefore waits for no sampling. After a failure, the rollouts that were not emitted
 * are sampled again. The task takes no more prompts while enough responses are in flight to keep
 * the engine busy.
 *
 * <p>The policy changes between responses, never inside one. Running responses end with the weights
 * that they began with; new responses begin with the new weights as places become free.
 */
public final class RolloutOperator extends BackgroundOperator<Rollout>
    implements TwoInputStreamOperator<Prompt, PolicyCheckpoint, Rollout>, BoundedMultiInput {

  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(RolloutOperator.class);

  /** Prompts that the engine refused: with the reason, and its message. */
  static final OutputTag<Tuple3<Prompt, String, String>> REFUSED =
      new OutputTag<>(
          "refused", Types.TUPLE(new AvroTypeInfo<>(Prompt.class), Types.STRING, Types.STRING));

  /** A prompt whose rollouts are not all emitted. */
  private record InFlight(Prompt prompt, BitSet emitted) {}

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;
  private transient int[] stopTokens;
  private transient Inlet inlet;
  private transient SourceHold hold;
  private transient boolean promptsEnded;
  private transient long nextKey;
  private transient int responsesInFlight;

  // Shared with the sampling thread; bounded by the responses in flight.
  private transient RolloutSampler sampler; // Its policy is shared state.
  private transient Queue<SampledResponse> outbox;
  private transient Map<SamplingRequest, Long> keys;
  private transient volatile boolean announcementsEnded;

  private transient Backend backend;

  /** Whether prompts wait for PPO. */
  private transient volatile boolean heldBack;

  /** Null where sampling is not paced. */
  private transient SamplingPace pace;

  /** Keys of the prompts in flight whose responses have not begun. */
  private transient Queue<Long> queued;

  // State that only the task thread uses, in the order of arrival.
  private transient TreeMap<Long, InFlight> inFlight;
  private transient long sampled;
  private transient long promptsTaken;

  public RolloutOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private RolloutSection section() {
    return settings.config().section(RolloutSection.class);
  }

  @Override
  public void openModels() throws IOException {
    backend = settings.backend();
    LlamaConfig shape;
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      shape = CheckpointOutline.read(initial.directory()).config();
      stopTokens = template.stopTokens(shape.eosTokens());
    }
    inFlight = new TreeMap<>();
    queued = new ArrayDeque<>();
    pace = newPace().orElse(null);
    sampler = newSampler(shape.vocabSize());
    outbox = new ConcurrentLinkedQueue<>();
    keys = new ConcurrentHashMap<>();
  }

  private RolloutSampler newSampler(int vocabSize) throws IOException {
    String initialUri = settings.config().model().initial();
    if (section().engine() == RolloutSection.Engine.LOCAL) {
      return new PolicySampler(
          backend, settings.checkpoints(), section(), capacity(), false, initialUri);
    }
    OpenAiClient client = new OpenAiClient(section().openai(), System::nanoTime);
    OpenAiEngine engine =
        new OpenAiEngine(
            client,
            settings.config().model().name(),
            section().openaiModel(),
            initialUri.replaceAll(".*/(?=[^/])|/+$", ""),
            tokenizer,
            template,
            stopTokens,
            vocabSize,
            System::nanoTime);
    return new EngineSampler(engine, section(), options(), initialUri);
  }

  private SamplingOptions options() {
    return new SamplingOptions(
        section().maxTokens(),
        (float) section().temperature(),
        (float) section().topP(),
        stopTokens);
  }

  private Optional<SamplingPace> newPace() {
    if (bounded || !section().paced()) {
      return Optional.empty();
    }
    return settings
        .config()
        .find(RolloutDemand.class)
        .map(
            demand ->
                new SamplingPace(
                    demand,
                    subtasks(),
                    () -> settings.consumerGroups().lag(demand.learner(), Topic.ROLLOUTS),
                    System::nanoTime));
  }

  private int subtasks() {
    return getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    hold = createHold(Topic.PROMPTS);
    Gauge<Integer> waiting = () -> queued.size();
    getMetricGroup().gauge("prompts_waiting_for_ppo", waiting);
    Gauge<Double> ahead = () -> pace == null ? 0 : pace.waiting();
    getMetricGroup().gauge("rollouts_ahead_of_ppo", ahead);
    Gauge<Integer> unavailable = () -> sampler.isUnavailable() ? 1 : 0;
    getMetricGroup().gauge("engine_unavailable", unavailable);
    queued.addAll(inFlight.keySet());
    submitQueued();
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
    List<Long> removed =
        inFlight.entrySet().stream()
            .filter(entry -> withdrawn.test(Provenance.of(entry.getValue().prompt())))
            .map(Map.Entry::getKey)
            .toList();
    for (long key : removed) {
      InFlight taken = inFlight.remove(key);
      if (keys.values().remove(key)) {
        responsesInFlight -= section().samplesPerPrompt() - taken.emitted().cardinality();
      }
      queued.remove(key);
    }
    return removed.size();
  }

  @Override
  public void processElement1(StreamRecord<Prompt> element) throws Exception {
    // A bounded run samples with the last policy there is, so prompts wait for the announcements'
    // end; waiting for room before it would keep them from being read.
    inlet.await(() -> responsesInFlight < capacity() || (bounded && !announcementsEnded));
    // A withdrawal may have come while the record waited.
    if (dropsWithdrawn(Provenance.of(element.getValue()))) {
      return;
    }
    long key = nextKey++;
    InFlight taken = new InFlight(element.getValue(), new BitSet());
    inFlight.put(key, taken);
    promptsTaken++;
    queued.add(key);
    submitQueued();
  }

  /** Begins responses as far as PPO can use them. */
  private void submitQueued() {
    if (pace != null) {
      pace.using(sampler.inUse());
    }
    while (!queued.isEmpty() && (pace == null || pace.hasRoom(responsesInFlight))) {
      long key = queued.remove();
      submit(key, inFlight.get(key));
      wake();
    }
    if (pace != null && pace.isLookWanted()) {
      wake();
    }
    boolean full = queued.size() >= capacity() && !promptsEnded;
    if (full && !hold.isHeld()) {
      LOG.info("Prompts wait until ppo has learned from the rollouts before them (rollout.paced)");
    }
    hold.set(full || (bounded && !announcementsEnded && responsesInFlight >= capacity()));
    heldBack = !queued.isEmpty();
    if (heldBack) {
      after(SamplingPace.BETWEEN_LOOKS, this::submitQueued);
    }
  }

  /** Responses in flight that keep every place of the engine taken. */
  private int capacity() {
    if (section().engine() == RolloutSection.Engine.OPENAI) {
      return section().openaiConcurrency() * section().samplesPerPrompt();
    }
    return 2 * section().batchSize() + section().samplesPerPrompt();
  }

  @Override
  public void processElement2(StreamRecord<PolicyCheckpoint> element) {
    PolicyCheckpoint announced = element.getValue();
    if (announced.getModel().equals(settings.config().model().name())) {
      if (settings.config().section(RolloutSection.class).follows(announced.getVersion())) {
        sampler.offer(ModelRef.of(announced));
      }
      // Other jobs that publish policies count no iterations.
      if (pace != null && announced.getIteration() > 0) {
        pace.announced(announced.getUri(), announced.getRollouts());
      }
      wake();
    }
  }

  /** Asks for the responses of a prompt that were not emitted yet. */
  private void submit(long key, InFlight taken) {
    int[] tokens = template.promptTokens(Dialogues.messages(taken.prompt().getDialogue()));
    long[] seeds = new long[section().samplesPerPrompt()];
    for (int sample = 0; sample < seeds.length; sample++) {
      seeds[sample] =
          SamplingRequest.seed(
              settings.config().model().seed(), RolloutRecords.id(taken.prompt(), sample));
    }
    responsesInFlight += seeds.length - taken.emitted().cardinality();
    SamplingRequest request = new SamplingRequest(tokens, seeds, options());
    keys.put(request, key);
    sampler.ask(request);
  }

  /** One step of the engine, on the sampling thread. */
  @Override
  protected boolean work() throws IOException, InterruptedException {
    if (bounded && !announcementsEnded) {
      return false;
    }
    if (pace != null && pace.isLookWanted()) {
      pace.look();
      return true;
    }
    List<SampledResponse> responses = new ArrayList<>();
    boolean worked = sampler.sample(responses) || (heldBack && sampler.follow());
    outbox.addAll(responses);
    return worked;
  }

  /** Emits what has been sampled, on the task's own thread. */
  @Override
  protected void flush() {
    for (SampledResponse next = outbox.poll(); next != null; next = outbox.poll()) {
      Long key = keys.get(next.request());
      if (key == null) {
        // The prompt was withdrawn meanwhile.
        continue;
      }
      InFlight taken = inFlight.get(key);
      if (taken.emitted().get(next.sample())) {
        // Emitted before a failure; sampled again only because its siblings were.
        continue;
      }
      emit(rollout(taken.prompt(), next));
      sampled++;
      if (pace != null) {
        pace.emitted();
      }
      responsesInFlight--;
      taken.emitted().set(next.sample());
      if (taken.emitted().cardinality() == next.request().samples()) {
        inFlight.remove(key);
        keys.remove(next.request());
      }
    }
    RolloutSampler.Refused refused = sampler.pollRefused();
    while (refused != null) {
      refuse(refused);
      refused = sampler.pollRefused();
    }
    submitQueued();
  }

  /** Lets a prompt go that the engine does not take. */
  private void refuse(RolloutSampler.Refused refused) {
    Long key = keys.remove(refused.request());
    if (key == null) {
      // The prompt was withdrawn meanwhile.
      return;
    }
    InFlight taken = inFlight.remove(key);
    responsesInFlight -= refused.request().samples() - taken.emitted().cardinality();
    emit(REFUSED, Tuple3.of(taken.prompt(), refused.reason(), refused.message()));
  }

  private Rollout rollout(Prompt prompt, SampledResponse response) {
    return RolloutRecords.of(
        prompt,
        response,
        settings.config().model().name(),
        section(),
        sampler.engine(),
        template.responseText(response.tokens()),
        Instant.ofEpochMilli(getProcessingTimeService().getCurrentProcessingTime()));
  }

  @Override
  public void endInput(int input) throws Exception {
    if (input == 1) {
      promptsEnded = true;
    } else {
      announcementsEnded = true;
      submitQueued();
      wake();
    }
    if (promptsEnded && announcementsEnded) {
      // No announcement follows that could make room, so all prompts are sampled now.
      pace = null;
      submitQueued();
      flushUntil(inFlight::isEmpty);
      Map<String, Double> summary = new HashMap<>();
      summary.put("prompts", (double) promptsTaken);
      summary.put("rollouts", (double) sampled);
      SummaryAccumulator.report(getRuntimeContext(), "rollout", summary);
    }
  }

  /** Every subtask follows the same policy. */
  @Override
  protected SharedState sharedState() {
    return sampler;
  }

  /**
   * A prompt whose rollouts are not all emitted.
   *
   * @param emitted the samples that are, as a bit set
   */
  private record InFlightState(Prompt prompt, byte[] emitted) {}

  /**
   * The operator's state.
   *
   * @param ahead rollouts that wait for PPO
   * @param consumed rollouts that PPO has consumed, as it last announced
   */
  private record State(
      long sampled,
      long promptsTaken,
      List<InFlightState> inFlight,
      @AvroDefault("0.0") double ahead,
      @AvroDefault("0") long consumed) {}

  @Override
  public void writeState(StateWriter out) throws IOException {
    SamplingPace.State paced = pace == null ? new SamplingPace.State(0, 0) : pace.state();
    out.write(
        new State(
            sampled,
            promptsTaken,
            inFlight.values().stream()
                .map(taken -> new InFlightState(taken.prompt(), taken.emitted().toByteArray()))
                .toList(),
            paced.waiting(),
            paced.consumed()));
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    sampled += state.sampled();
    promptsTaken += state.promptsTaken();
    if (pace != null) {
      pace.restore(state.ahead(), state.consumed());
    }
    for (InFlightState taken : state.inFlight()) {
      // rollout.samples-per-prompt may be lower now than when the state was written.
      BitSet emitted = BitSet.valueOf(taken.emitted()).get(0, section().samplesPerPrompt());
      if (emitted.cardinality() < section().samplesPerPrompt()) {
        inFlight.put(nextKey++, new InFlight(taken.prompt(), emitted));
      }
    }
  }

  @Override
  public void closeModels() {
    Closing.closeAll(sampler, tokenizer, backend);
  }
}
