package io.millrace.jobs.rollout;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Samples with the latest announced policy. The task thread asks questions and passes announcements
 * on; a background thread samples. The operator bounds the number of questions by the responses it
 * has in flight. The policy in use is shared state.
 */
public final class PolicySampler implements RolloutSampler {

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final EngineSettings engineSettings;
  private final boolean onePolicyEach;

  private final Queue<Question> questions = new ConcurrentLinkedQueue<>();
  private final RolloutSection section;
  private volatile ModelRef latest;

  // The sampling thread's own.
  private SamplingEngine engine;
  private volatile String loadedUri;

  /** What is asked of the policy. */
  public interface Question {
    /** The requests, for the policy that all of them are put to. */
    List<SamplingRequest> to(long policyVersion, String policyUri);
  }

  /**
   * @param section how much is sampled at once, and how long prompts and responses get
   * @param waiting responses that may wait to be started
   * @param onePolicyEach whether all responses to one prompt are of one policy; a new policy then
   *     waits until those that wait have begun
   */
  public PolicySampler(
      Backend backend,
      CheckpointCache checkpoints,
      RolloutSection section,
      int waiting,
      boolean onePolicyEach,
      String uri) {
    this.backend = backend;
    this.checkpoints = checkpoints;
    this.section = section;
    this.engineSettings = settings(section, waiting);
    this.onePolicyEach = onePolicyEach;
    this.latest = new ModelRef(0, uri, "");
  }

  /** Refuses prompts that leave no room for their response. */
  public static LengthCheck<Prompt> lengthCheck(MillraceConfig config) {
    RolloutSection section = config.section(RolloutSection.class);
    return new LengthCheck<>(
        config,
        "rollout.max-prompt-tokens",
        section.maxPromptTokens(),
        section.maxTokens(),
        (template, record) ->
            template.promptTokens(Dialogues.messages(record.getDialogue())).length);
  }

  /**
   * Checks, before a job is submitted, that the model has room for a response of full length after
   * the shortest prompt.
   *
   * @throws IllegalArgumentException with both limits
   */
  public static void requireRoom(MillraceConfig config) {
    requireRoom(config, "rollout.max-tokens", config.section(RolloutSection.class).maxTokens());
  }

  /**
   * Checks that the model has room for a response after the shortest prompt.
   *
   * @param option that sets the length of a response, for the message
   * @param maxTokens the most tokens of a response
   * @throws IllegalArgumentException with both limits
   */
  public static void requireRoom(MillraceConfig config, String option, int maxTokens) {
    try (LocalCheckpoint initial = new RuntimeSettings(config).describeInitial();
        Tokenizer tokenizer = Tokenizer.load(initial.directory())) {
      int positions = CheckpointOutline.read(initial.directory()).config().maxPositions();
      int shortest =
          ChatTemplate.of(tokenizer).promptTokens(List.of(new Message(Role.USER, "?"))).length;
      if (shortest + maxTokens > positions) {
        throw new IllegalArgumentException(
            ("%s must be at most %d, not %d: %s has %d positions, and the shortest prompt takes %d"
                    + " of them. Half of the positions, %d, leaves room for longer prompts")
                .formatted(
                    option,
                    positions - shortest,
                    maxTokens,
                    config.model().initial(),
                    positions,
                    shortest,
                    positions / 2));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("model.initial cannot be read: " + e.getMessage(), e);
    }
  }

  private static EngineSettings settings(RolloutSection section, int waiting) {
    EngineSettings roomy =
        EngineSettings.of(section.batchSize(), section.maxPromptTokens() + section.maxTokens());
    int pages =
        section.kvCacheTokens() == 0
            ? roomy.pages()
            : Math.ceilDiv(section.kvCacheTokens(), roomy.pageTokens());
    return new EngineSettings(
        roomy.maxRunning(), waiting, roomy.maxStepTokens(), pages, roomy.pageTokens());
  }

  /** Hands a question over. */
  public void ask(Question question) {
    questions.add(question);
  }

  @Override
  public void ask(SamplingRequest request) {
    ask((_, _) -> List.of(request));
  }

  /** Takes an announced policy. Responses that begin later come from it. */
  @Override
  public void offer(ModelRef policy) {
    if (policy.replaces(latest)) {
      latest = policy;
    }
  }

  /** The latest announced policy; its checkpoint may be retired. */
  public ModelRef latest() {
    return latest;
  }

  /**
   * One step, on the sampling thread.
   *
   * @param sampled takes what finished
   * @return false, having done nothing, where there is nothing to do
   */
  @Override
  public boolean sample(List<SampledResponse> sampled) throws IOException {
    if (questions.isEmpty() && (engine == null || engine.isIdle())) {
      return false;
    }
    usePolicy();
    if (engine == null) {
      return false;
    }
    while (!questions.isEmpty() && !isHeldUp()) {
      if (!engine.offer(questions.peek().to(engine.policyVersion(), loadedUri), 0)) {
        break;
      }
      questions.remove();
    }
    sampled.addAll(engine.step());
    return true;
  }

  /**
   * Turns to the latest policy although there is nothing to sample; on the sampling thread.
   *
   * @return false, having done nothing, where the policy in use is the latest
   */
  @Override
  public boolean follow() throws IOException {
    String before = loadedUri;
    usePolicy();
    return !Objects.equals(before, loadedUri);
  }

  /** Directory of the policy with which responses begin; null before the first. */
  @Override
  public String inUse() {
    return loadedUri;
  }

  @Override
  public String engine() {
    return "";
  }

  @Override
  public boolean isUnavailable() {
    return false;
  }

  /** No request is refused: the length of prompts was checked. */
  @Override
  public Refused pollRefused() {
    return null;
  }

  /** Whether new prompts wait for a policy that waits for those before them. */
  private boolean isHeldUp() {
    return onePolicyEach && isOutdated();
  }

  private boolean isOutdated() {
    ModelRef wanted = latest;
    // Restored state may name a retired policy: a later one is announced then.
    return !wanted.uri().equals(loadedUri) && !wanted.isRetired();
  }

  /** Turns to the latest policy, where that is another; there may be none to begin with. */
  private void usePolicy() throws IOException {
    if (!isOutdated()
        || (engine != null
            && (engine.isChangingPolicy() || (onePolicyEach && engine.waiting() > 0)))) {
      return;
    }
    String wanted = latest.uri();
    PolicyModel policy = PolicyModel.load(backend, checkpoints, wanted);
    if (engine == null) {
      engine = new SamplingEngine(policy, engineSettings);
    } else {
      engine.use(policy);
    }
    loadedUri = wanted;
  }

  @Override
  public void close() {
    if (engine != null) {
      engine.close();
    }
  }

  /** The policy in use. */
  record State(ModelRef policy) {}

  @Override
  public void write(StateWriter out) throws IOException {
    out.write(new State(latest));
  }

  @Override
  public void read(StateReader in) throws IOException {
    ModelRef policy = in.read(State.class).policy();
    if (section.follows(policy.version()) && !policy.isEarlierThan(latest)) {
      latest = policy;
    }
  }
}
