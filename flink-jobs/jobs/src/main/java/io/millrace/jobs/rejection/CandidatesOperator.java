package io.millrace.jobs.rejection;

import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.schemas.state.StateWriter;
import io.millrace.schemas.state.StateReader;
import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Announcement;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.PolicySampler;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.Inlet;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Samples K responses to each prompt over a temperature grid with the latest policy, and scores
 * them with the latest reward models, on a thread beside Flink's mailbox.
 *
 * <p>The prompts in flight are the state: one leaves it when its candidates are emitted, in the
 * order in which prompts came. All responses to a prompt are of one policy and are scored as one
 * batch, so that what comes out depends on the prompt and the models alone, bit for bit. Until both
 * reward models are announced prompts wait.
 */
public final class CandidatesOperator extends BackgroundOperator<Candidates>
    implements TwoInputStreamOperator<Prompt, Announcement, Candidates>,
        BoundedMultiInput {

  private static final long serialVersionUID = 1;

  /** 1 had the policy and the reward models in it. */

  private static final Logger LOG = LoggerFactory.getLogger(CandidatesOperator.class);

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient SingleObject<Prompt> codec;
  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;
  private transient SafetyClassifier classifier;
  private transient SamplingOptions options;
  private transient float[] temperatures;
  private transient Inlet inlet;
  private transient boolean promptsEnded;
  private transient boolean toldOfWaiting;
  private transient long nextKey;

  // From the mailbox to the sampling thread and back; bounded by the prompts in flight.
  private transient PolicySampler sampler; // Its policy is state.
  private transient Queue<Finished> outbox;
  private transient volatile boolean announcementsEnded;

  /**
   * State: a new map with every announcement, so that the sampling thread reads one of a moment.
   */
  private transient volatile Map<Objective, Announcement> announced;

  // The sampling thread's own.
  private transient IdentityHashMap<SamplingRequest, Asked> asked;
  private transient RewardModels rewardModels;

  // State, of the mailbox alone; by the order in which prompts came.
  private transient TreeMap<Long, Prompt> inFlight;

  /** What is scored and waits for a prompt before it. */
  private transient Map<Long, Candidates> finished;

  private record Finished(long key, Candidates candidates) {}

  public CandidatesOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private RejectionSamplingSection section() {
    return settings.config().section(RejectionSamplingSection.class);
  }

  @Override
  public void openModels() throws IOException {
    MillraceConfig config = settings.config();
    backend = settings.backend();
    codec = SingleObject.of(Prompt.class);
    String initialUri = config.model().initial();
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      options =
          new SamplingOptions(
              config.section(RolloutSection.class).maxTokens(),
              1,
              (float) config.section(RolloutSection.class).topP(),
              template.stopTokens(
                  CheckpointOutline.read(initial.directory()).config().eosTokens()));
    }
    temperatures = new float[section().samplesPerPrompt()];
    List<Double> grid = section().temperatures();
    for (int k = 0; k < temperatures.length; k++) {
      temperatures[k] = grid.get(k % grid.size()).floatValue();
    }
    classifier = config.section(PpoSection.class).classifier();
    sampler =
        new PolicySampler(
            backend,
            settings.checkpoints(),
            config.section(RolloutSection.class),
            capacity(),
            true,
            initialUri);
    rewardModels = new RewardModels(backend, settings.checkpoints());
    outbox = new ConcurrentLinkedQueue<>();
    announced = Map.of();
    asked = new IdentityHashMap<>();
    inFlight = new TreeMap<>();
    finished = new HashMap<>();
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

  /** The prompts in flight are state, and the mailbox's alone. */
  @Override
  protected boolean pausesForSnapshots() {
    return false;
  }

  /** Responses in flight that keep every place of the engine taken while the oldest prompt ends. */
  private int capacity() {
    return 3 * settings.config().section(RolloutSection.class).batchSize()
        + 2 * section().samplesPerPrompt();
  }

  /** Whether there is all that a prompt is scored with; a bounded run takes the last there is. */
  private boolean isReady() {
    return announced.size() == Objective.values().length && (!bounded || announcementsEnded);
  }

  @Override
  public void processElement1(StreamRecord<Prompt> element) throws Exception {
    // Waiting for room while models are still to be announced would keep them from being read.
    inlet.await(() -> !isReady() || inFlight.size() * section().samplesPerPrompt() < capacity());
    if (!bounded && !isReady()) {
      tellOfWaiting();
    }
    long key = nextKey++;
    inFlight.put(key, element.getValue());
    submit(key, element.getValue());
    wake();
  }

  private void tellOfWaiting() {
    if (inFlight.size() >= section().maxWaiting()) {
      throw new IllegalStateException(
          "%d prompts wait, and no %s reward model is announced: run reward-model, or raise rejection-sampling.max-waiting"
              .formatted(inFlight.size(), missing()));
    }
    if (!toldOfWaiting) {
      toldOfWaiting = true;
      LOG.warn("No {} reward model is announced yet: prompts wait", missing());
    }
  }

  /** The objectives that have no reward model. */
  private String missing() {
    return String.join(
        " and no ",
        Arrays.stream(Objective.values())
            .filter(objective -> !announced.containsKey(objective))
            .map(objective -> objective.name().toLowerCase(Locale.ROOT))
            .toList());
  }

  @Override
  public void processElement2(StreamRecord<Announcement> element) {
    Announcement announcement = element.getValue();
    if (!announcement.isPolicy()) {
      take(announcement);
    } else if (!CheckpointStore.isRetired(announcement.uri)) {
      sampler.use(announcement.uri);
    }
    wake();
  }

  /** The later of two reward models of an objective counts, where the store has it still. */
  private void take(Announcement rewardModel) {
    if (CheckpointStore.isRetired(rewardModel.uri)) {
      return;
    }
    Map<Objective, Announcement> more = new EnumMap<>(Objective.class);
    more.putAll(announced);
    more.merge(
        rewardModel.rewardModel(),
        rewardModel,
        (known, next) -> CheckpointStore.isEarlier(next.uri, known.uri) ? known : next);
    announced = more;
  }

  private void submit(long key, Prompt prompt) {
    List<Message> dialogue = Dialogues.messages(prompt.getDialogue());
    sampler.ask(
        new Asked(
            key,
            prompt.getPromptId(),
            dialogue,
            prompt.getIsSafety() || classifier.isSafety(dialogue),
            template.promptTokens(dialogue)));
  }

  /** A prompt on the sampling thread. */
  private final class Asked implements PolicySampler.Question {
    private final long key;
    private final String promptId;
    private final List<Message> dialogue;
    private final boolean isSafety;
    private final int[] tokens;
    private final SampledResponse[] responses = new SampledResponse[section().samplesPerPrompt()];
    private int sampled;
    private SamplingRequest request;
    private String policyUri;

    Asked(long key, String promptId, List<Message> dialogue, boolean isSafety, int[] tokens) {
      this.key = key;
      this.promptId = promptId;
      this.dialogue = dialogue;
      this.isSafety = isSafety;
      this.tokens = tokens;
    }

    @Override
    public SamplingRequest to(long policyVersion, String uri) {
      asked.remove(request);
      long[] seeds = new long[responses.length];
      for (int k = 0; k < seeds.length; k++) {
        // A later policy samples the same prompt anew, not along the same random stream.
        seeds[k] =
            SamplingRequest.seed(
                settings.config().model().seed(), promptId + "@" + policyVersion + "/" + k);
      }
      policyUri = uri;
      request = new SamplingRequest(tokens, seeds, options, temperatures);
      asked.put(request, this);
      return request;
    }

    boolean take(SampledResponse response) {
      responses[response.sample()] = response;
      sampled++;
      return sampled == responses.length;
    }
  }

  /** One step of the engine, on the sampling thread, and the scores of what is complete. */
  @Override
  protected boolean work() throws IOException {
    if (!isReady()) {
      return false;
    }
    List<SampledResponse> responses = new ArrayList<>();
    boolean worked = sampler.sample(responses);
    for (SampledResponse response : responses) {
      Asked prompt = asked.get(response.request());
      if (prompt.take(response)) {
        asked.remove(prompt.request);
        outbox.add(new Finished(prompt.key, score(prompt)));
      }
    }
    return worked;
  }

  private Candidates score(Asked prompt) throws IOException {
    Map<Objective, Announcement> scorers = announced;
    Announcement byHelpfulness = scorers.get(Objective.HELPFULNESS);
    Announcement bySafety = scorers.get(Objective.SAFETY);
    List<int[]> sequences = new ArrayList<>();
    for (SampledResponse response : prompt.responses) {
      int[] tokens = Arrays.copyOf(prompt.tokens, prompt.tokens.length + response.tokens().length);
      System.arraycopy(
          response.tokens(), 0, tokens, prompt.tokens.length, response.tokens().length);
      sequences.add(tokens);
    }
    RewardModels.Scores scored =
        rewardModels.score(
            new RewardModelPair(
                new ModelRef(byHelpfulness.version, byHelpfulness.uri, ""),
                new ModelRef(bySafety.version, bySafety.uri, "")),
            sequences);
    float[] helpfulness = scored.helpfulness();
    float[] safety = scored.safety();
    PiecewiseReward reward = settings.config().section(PpoSection.class).piecewiseReward();

    Candidates candidates = new Candidates();
    candidates.promptId = prompt.promptId;
    candidates.dialogue(prompt.dialogue);
    candidates.isSafety = prompt.isSafety;
    candidates.prompt = prompt.tokens;
    candidates.rewards = new double[helpfulness.length];
    candidates.policyVersion = prompt.responses[0].policyVersion();
    candidates.policyUri = prompt.policyUri;
    candidates.helpfulnessVersion = byHelpfulness.version;
    candidates.helpfulnessUri = byHelpfulness.uri;
    candidates.safetyVersion = bySafety.version;
    candidates.safetyUri = bySafety.uri;
    String[] texts = new String[helpfulness.length];
    int winner = Candidates.NONE;
    for (int k = 0; k < texts.length; k++) {
      SampledResponse response = prompt.responses[k];
      texts[k] = template.responseText(response.tokens());
      candidates.rewards[k] = reward.combine(helpfulness[k], safety[k], prompt.isSafety);
      candidates.truncated += response.stopped() ? 0 : 1;
      candidates.empty += texts[k].isBlank() ? 1 : 0;
      if (response.stopped()
          && !texts[k].isBlank()
          && (winner == Candidates.NONE || candidates.rewards[k] > candidates.rewards[winner])) {
        winner = k;
      }
    }
    candidates.winner = winner;
    boolean won = winner != Candidates.NONE;
    candidates.response = won ? prompt.responses[winner].tokens() : new int[0];
    candidates.text = won ? texts[winner] : "";
    candidates.temperature = won ? temperatures[winner] : 0;
    candidates.helpfulnessScore = won ? helpfulness[winner] : 0;
    candidates.safetyScore = won ? safety[winner] : 0;
    return candidates;
  }

  /** Emits what is finished and has nothing unfinished before it, on the task's own thread. */
  @Override
  protected void flush() {
    for (Finished next = outbox.poll(); next != null; next = outbox.poll()) {
      finished.put(next.key(), next.candidates());
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
      wake();
    }
    if (promptsEnded && announcementsEnded) {
      requireModels();
      flushUntil(inFlight::isEmpty);
    }
  }

  /** What will never be announced is told rather than waited for. */
  private void requireModels() {
    if (inFlight.isEmpty()) {
      return;
    }
    if (!isReady()) {
      throw new SuppressRestartsException(
          new IllegalStateException(
              "%d prompts cannot be scored: no %s reward model is announced; run reward-model first"
                  .formatted(inFlight.size(), missing())));
    }
    if (CheckpointStore.isRetired(sampler.policyUri())) {
      throw new SuppressRestartsException(
          new IllegalStateException(
              "%d prompts wait for a policy: %s was retired, and none after it is announced"
                  .formatted(inFlight.size(), sampler.policyUri())));
    }
  }

  @Override
  protected SharedState sharedState() {
    return new SharedState() {
      @Override
      public void write(StateWriter out) throws IOException {
        sampler.write(out);
        StateIo.writeList(out.raw(), List.copyOf(announced.values()), Announcement::write);
      }

      @Override
      public void read(StateReader in) throws IOException {
        sampler.read(in);
        StateIo.readList(in.raw(), Announcement::read).forEach(CandidatesOperator.this::take);
      }
    };
  }

  @Override
  public void writeState(StateWriter state) throws IOException {
    DataOutputStream out = state.raw();
    StateIo.writeList(
        out,
        List.copyOf(inFlight.values()),
        (stream, prompt) -> StateIo.writeBytes(stream, codec.encode(prompt)));
  }

  @Override
  public void readState(StateReader state) throws IOException {
    DataInputStream in = state.raw();
    StateIo.readList(in, stream -> codec.decode(StateIo.readBytes(stream)))
        .forEach(prompt -> inFlight.put(nextKey++, prompt));
  }

  @Override
  public void closeModels() {
    Closing.closeAll(sampler, rewardModels, tokenizer, backend);
  }
}
