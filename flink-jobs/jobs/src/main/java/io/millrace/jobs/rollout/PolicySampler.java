package io.millrace.jobs.rollout;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Samples with the latest announced policy. The task thread asks questions and passes announcements
 * on; a background thread samples. The operator bounds the number of questions by the responses it
 * has in flight. The policy in use is shared state.
 */
public final class PolicySampler implements SharedState, AutoCloseable {

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final EngineSettings engineSettings;
  private final boolean onePolicyEach;

  private final Queue<Question> questions = new ConcurrentLinkedQueue<>();
  private volatile String latestUri;

  // The sampling thread's own.
  private SamplingEngine engine;
  private String loadedUri;

  /** What is asked of the policy. */
  public interface Question {
    /** The request, for the policy that it is put to. */
    SamplingRequest to(long policyVersion, String policyUri);
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
    this.engineSettings = settings(section, waiting);
    this.onePolicyEach = onePolicyEach;
    this.latestUri = uri;
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

  /**
   * Tells of a policy: responses that begin from now on are its own. An earlier version than the
   * one told of before changes nothing: a job that starts from a later one reads the announcements
   * from their beginning.
   */
  public void use(String uri) {
    if (!CheckpointStore.isEarlier(uri, latestUri)) {
      latestUri = uri;
    }
  }

  /** The policy that was told of last. */
  public String policyUri() {
    return latestUri;
  }

  /**
   * One step, on the sampling thread.
   *
   * @param sampled takes what finished
   * @return false, having done nothing, where there is nothing to do
   */
  public boolean sample(List<SampledResponse> sampled) throws IOException {
    if (questions.isEmpty() && (engine == null || engine.isIdle())) {
      return false;
    }
    usePolicy();
    if (engine == null) {
      return false;
    }
    while (!questions.isEmpty() && !isHeldUp()) {
      if (!engine.offer(questions.peek().to(engine.policyVersion(), loadedUri))) {
        break;
      }
      questions.remove();
    }
    sampled.addAll(engine.step());
    return true;
  }

  /** Whether new prompts wait for a policy that waits for those before them. */
  private boolean isHeldUp() {
    return onePolicyEach && isOutdated();
  }

  private boolean isOutdated() {
    String latest = latestUri;
    // Of a state that is older than what the store keeps: the announcement of a later one comes.
    return !latest.equals(loadedUri) && !CheckpointStore.isRetired(latest);
  }

  /** Turns to the latest policy, where that is another; there may be none to begin with. */
  private void usePolicy() throws IOException {
    if (!isOutdated()
        || (engine != null
            && (engine.isChangingPolicy() || (onePolicyEach && engine.waiting() > 0)))) {
      return;
    }
    String latest = latestUri;
    PolicyModel policy = PolicyModel.load(backend, checkpoints, latest);
    if (engine == null) {
      engine = new SamplingEngine(policy, engineSettings);
    } else {
      engine.use(policy);
    }
    loadedUri = latest;
  }

  @Override
  public void close() {
    if (engine != null) {
      engine.close();
    }
  }

  /** The policy in use. */
  private record State(String uri) {}

  @Override
  public void write(StateWriter out) throws IOException {
    out.write(new State(latestUri));
  }

  @Override
  public void read(StateReader in) throws IOException {
    use(in.read(State.class).uri());
  }
}
