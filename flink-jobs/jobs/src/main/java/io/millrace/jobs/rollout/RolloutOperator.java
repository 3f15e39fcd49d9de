package io.millrace.jobs.rollout;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

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

  /** A prompt whose rollouts are not all emitted. */
  private record InFlight(Prompt prompt, BitSet emitted) {}

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;
  private transient int[] stopTokens;
  private transient Inlet inlet;
  private transient boolean promptsEnded;
  private transient long nextKey;
  private transient int responsesInFlight;

  // Shared with the sampling thread; bounded by the responses in flight.
  private transient PolicySampler sampler; // Its policy is shared state.
  private transient Queue<SampledResponse> outbox;
  private transient Map<SamplingRequest, Long> keys;
  private transient volatile boolean announcementsEnded;

  private transient Backend backend;

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
    String initialUri = settings.config().model().initial();
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      stopTokens =
          template.stopTokens(CheckpointOutline.read(initial.directory()).config().eosTokens());
    }
    inFlight = new TreeMap<>();
    sampler =
        new PolicySampler(
            backend, settings.checkpoints(), section(), capacity(), false, initialUri);
    outbox = new ConcurrentLinkedQueue<>();
    keys = new ConcurrentHashMap<>();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    inFlight.forEach(this::submit);
    wake();
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
  public void processElement1(StreamRecord<Prompt> element) throws Exception {
    // A bounded run samples with the last policy there is, so prompts wait for the announcements'
    // end; waiting for room before it would keep them from being read.
    inlet.await(() -> responsesInFlight < capacity() || (bounded && !announcementsEnded));
    long key = nextKey++;
    InFlight taken = new InFlight(element.getValue(), new BitSet());
    inFlight.put(key, taken);
    promptsTaken++;
    submit(key, taken);
    wake();
  }

  /** Responses in flight that keep every place of the engine taken. */
  private int capacity() {
    return 2 * section().batchSize() + section().samplesPerPrompt();
  }

  @Override
  public void processElement2(StreamRecord<PolicyCheckpoint> element) {
    PolicyCheckpoint announced = element.getValue();
    if (announced.getModel().equals(settings.config().model().name())) {
      sampler.offer(ModelRef.of(announced));
      wake();
    }
  }

  /** Asks for the responses of a prompt that were not emitted yet. */
  private void submit(long key, InFlight taken) {
    int[] tokens = template.promptTokens(Dialogues.messages(taken.prompt().getDialogue()));
    SamplingOptions options =
        new SamplingOptions(
            section().maxTokens(),
            (float) section().temperature(),
            (float) section().topP(),
            stopTokens);
    long[] seeds = new long[section().samplesPerPrompt()];
    for (int sample = 0; sample < seeds.length; sample++) {
      seeds[sample] =
          SamplingRequest.seed(settings.config().model().seed(), rolloutId(taken.prompt(), sample));
    }
    responsesInFlight += seeds.length - taken.emitted().cardinality();
    SamplingRequest request = new SamplingRequest(tokens, seeds, options);
    keys.put(request, key);
    sampler.ask((_, _) -> request);
  }

  private static String rolloutId(Prompt prompt, int sample) {
    return prompt.getPromptId() + "/" + sample;
  }

  /** One step of the engine, on the sampling thread. */
  @Override
  protected boolean work() throws IOException {
    if (bounded && !announcementsEnded) {
      return false;
    }
    List<SampledResponse> responses = new ArrayList<>();
    boolean worked = sampler.sample(responses);
    outbox.addAll(responses);
    return worked;
  }

  /** Emits what has been sampled, on the task's own thread. */
  @Override
  protected void flush() {
    for (SampledResponse next = outbox.poll(); next != null; next = outbox.poll()) {
      long key = keys.get(next.request());
      InFlight taken = inFlight.get(key);
      if (taken.emitted().get(next.sample())) {
        // Emitted before a failure; sampled again only because its siblings were.
        continue;
      }
      emit(rollout(taken.prompt(), next));
      sampled++;
      responsesInFlight--;
      taken.emitted().set(next.sample());
      if (taken.emitted().cardinality() == next.request().samples()) {
        inFlight.remove(key);
        keys.remove(next.request());
      }
    }
  }

  private Rollout rollout(Prompt prompt, SampledResponse response) {
    return Rollout.newBuilder()
        .setRolloutId(rolloutId(prompt, response.sample()))
        .setPromptId(prompt.getPromptId())
        .setDialogue(prompt.getDialogue())
        .setIsSafety(prompt.getIsSafety())
        .setPromptTokens(list(response.request().prompt()))
        .setResponseTokens(list(response.tokens()))
        .setLogProbs(list(response.logProbs()))
        .setResponseText(template.responseText(response.tokens()))
        .setFinishReason(response.stopped() ? FinishReason.STOP : FinishReason.LENGTH)
        .setModel(settings.config().model().name())
        .setPolicyVersion(response.policyVersion())
        .setTemperature((float) section().temperature())
        .setTopP((float) section().topP())
        .setSeed(response.request().seeds()[response.sample()])
        .setSource(prompt.getSource())
        .setTime(Instant.ofEpochMilli(getProcessingTimeService().getCurrentProcessingTime()))
        .build();
  }

  private static List<Integer> list(int[] values) {
    List<Integer> list = new ArrayList<>(values.length);
    for (int value : values) {
      list.add(value);
    }
    return list;
  }

  private static List<Float> list(float[] values) {
    List<Float> list = new ArrayList<>(values.length);
    for (float value : values) {
      // Rounding may leave a certain token's log-prob a hair above 0.
      list.add(Math.min(value, 0));
    }
    return list;
  }

  @Override
  public void endInput(int input) throws Exception {
    if (input == 1) {
      promptsEnded = true;
    } else {
      announcementsEnded = true;
      wake();
    }
    if (promptsEnded && announcementsEnded) {
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

  private record State(long sampled, long promptsTaken, List<InFlightState> inFlight) {}

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(
        new State(
            sampled,
            promptsTaken,
            inFlight.values().stream()
                .map(taken -> new InFlightState(taken.prompt(), taken.emitted().toByteArray()))
                .toList()));
  }

  @Override
  public void readState(StateReader in) throws IOException {
    State state = in.read(State.class);
    sampled += state.sampled();
    promptsTaken += state.promptsTaken();
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
