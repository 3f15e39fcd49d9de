package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.KvCache;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * Samples responses with continuous batching (Yu et al., "Orca", OSDI 2022, section 3). Every step
 * advances all running responses by one token. When a response finishes, a waiting one takes its
 * place in the next step. The prompts of new responses are computed in the same steps, in parts.
 * Keys and values are in pages (Kwon et al., arXiv 2309.06180). The responses to one prompt share
 * its pages; a response copies a shared page before it writes to it.
 *
 * <p>A response depends only on the weights and on its own prompt, options and seed. It does not
 * depend on the other responses of a batch. On a backend with independent rows ({@code cpu}) this
 * holds bit for bit. On {@code nd4j} it holds up to rounding.
 *
 * <p>When there are no free pages, the newest running response releases its own and waits. Its keys
 * and values are computed again from its tokens later. The oldest response always continues.
 *
 * <p>One thread uses an engine, as for its backend.
 */
public final class SamplingEngine implements AutoCloseable {

  private final EngineSettings settings;
  private final PagePool pool;
  private final KvCache cache;
  private final PrefixCache prefixes;
  private final TreeSet<Sample> waiting = new TreeSet<>();
  private final TreeSet<Sample> running = new TreeSet<>();

  /** Number of started and unfinished responses of each policy, the current one included. */
  private final Map<Policy, Integer> started = new LinkedHashMap<>();

  private Policy current;
  private long nextOrdinal;
  private long preemptions;
  private long reusedTokens;
  private TokenListener listener = (request, sample, token) -> {};

  /**
   * An engine that starts with a policy.
   *
   * @param policy closed with the engine, or after {@link #use} has replaced it
   */
  public SamplingEngine(Policy policy, EngineSettings settings) {
    this.settings = settings;
    this.current = policy;
    this.pool = new PagePool(settings.pages());
    this.prefixes = new PrefixCache(pool, settings.pageTokens(), settings.prefixCache());
    this.cache = policy.model().kvCache(settings.pages(), settings.pageTokens());
    started.put(policy, 0);
  }

  /** An engine over a model, which the caller closes. */
  public SamplingEngine(LanguageModel model, EngineSettings settings) {
    this(Policy.borrowed(model), settings);
  }

  /**
   * Replaces the policy. Responses that have not started are sampled with the next policy.
   * Responses that have started continue with their own policy, which is closed after the last of
   * them.
   *
   * <p>Two sets of weights are in memory meanwhile, and the batch stays full. To keep it at two,
   * wait while {@link #isChangingPolicy} before the next call.
   *
   * @throws IllegalArgumentException if the shapes of the two policies differ
   */
  public void use(Policy next) {
    LlamaConfig old = current.model().config();
    LlamaConfig config = next.model().config();
    if (config.layers() != old.layers()
        || config.kvHeads() != old.kvHeads()
        || config.headDim() != old.headDim()
        || config.vocabSize() != old.vocabSize()
        || config.maxPositions() != old.maxPositions()) {
      throw new IllegalArgumentException(
          "policy version %d does not fit the engine: its model is %s, but the engine was made for %s"
              .formatted(next.version(), config, old));
    }
    Policy before = current;
    prefixes.clear();
    current = next;
    started.put(next, 0);
    closeIfDone(before);
  }

  /** Calls a listener for each token from now on, in the thread that calls {@link #step}. */
  public void listen(TokenListener each) {
    listener = each;
  }

  /** Whether an earlier policy has started responses that are not finished. */
  public boolean isChangingPolicy() {
    return started.size() > 1;
  }

  /** Version of the policy for new responses. */
  public long policyVersion() {
    return current.version();
  }

  /** Number of responses in the queue. */
  public int waiting() {
    return waiting.size();
  }

  /** Number of responses in the batch. */
  public int running() {
    return running.size();
  }

  /** Whether no response is waiting or running. */
  public boolean isIdle() {
    return waiting.isEmpty() && running.isEmpty();
  }

  /** How often a response released its pages for an older one. */
  public long preemptions() {
    return preemptions;
  }

  /** Prompt tokens whose keys and values came from earlier sequences. */
  public long reusedTokens() {
    return reusedTokens;
  }

  /**
   * Adds a request to the queue, unless the queue is full.
   *
   * @return whether the request was added
   * @throws IllegalArgumentException if no state of the engine could serve the request
   */
  public boolean offer(SamplingRequest request) {
    return offer(List.of(request), 0);
  }

  /**
   * As {@link #offer(SamplingRequest)}, for requests that are all added or none. With {@link
   * EngineSettings#onePolicyEach} the responses to all of them are of one policy.
   *
   * @param ranks number of most probable tokens that the listener gets with each token
   */
  public boolean offer(List<SamplingRequest> requests, int ranks) {
    requests.forEach(request -> settings.requireServable(request, current.model().config()));
    int samples = requests.stream().mapToInt(SamplingRequest::samples).sum();
    if (waiting.size() + samples > settings.maxWaiting()) {
      return false;
    }
    Binding binding = new Binding(samples);
    for (SamplingRequest request : requests) {
      PromptCache prompt = new PromptCache(pool, request.samples());
      for (int i = 0; i < request.samples(); i++) {
        waiting.add(new Sample(nextOrdinal++, request, i, ranks, prompt, binding, pool));
      }
    }
    return true;
  }

  /**
   * Ends a response that is not finished; {@link #step} does not return it.
   *
   * @return whether the response was waiting or running
   */
  public boolean cancel(SamplingRequest request, int sample) {
    for (TreeSet<Sample> samples : List.of(running, waiting)) {
      for (Sample candidate : samples) {
        if (candidate.request().equals(request) && candidate.index() == sample) {
          samples.remove(candidate);
          cancel(candidate);
          return true;
        }
      }
    }
    return false;
  }

  private void cancel(Sample sample) {
    Policy policy = sample.policy();
    if (policy == null) {
      sample.prompt().abandoned();
      sample.binding().settle();
      policy = sample.binding().policy();
    } else {
      sample.interrupt();
    }
    if (policy != null) {
      ended(policy);
    }
  }

  /**
   * Samples all responses of some requests, and returns when all are finished.
   *
   * @return one response for each seed of each request, in order
   * @throws IllegalStateException if other responses are waiting or running
   */
  public List<SampledResponse> sampleAll(List<SamplingRequest> requests) {
    if (!isIdle()) {
      throw new IllegalStateException(
          "sampleAll: other responses are waiting or running; finish them first");
    }
    IdentityHashMap<SamplingRequest, Integer> first = new IdentityHashMap<>();
    int responses = 0;
    for (SamplingRequest request : requests) {
      if (first.put(request, responses) != null) {
        throw new IllegalArgumentException(
            "sampleAll: the same request occurs twice; give one request two seeds instead");
      }
      responses += request.samples();
    }
    SampledResponse[] done = new SampledResponse[responses];
    int taken = 0;
    while (taken < requests.size() || !isIdle()) {
      while (taken < requests.size() && offer(requests.get(taken))) {
        taken++;
      }
      for (SampledResponse response : step()) {
        done[first.get(response.request()) + response.sample()] = response;
      }
    }
    return List.of(done);
  }

  /**
   * Starts waiting responses and advances all running ones by one token; returns the finished ones.
   */
  public List<SampledResponse> step() {
    start();
    Map<Policy, DecodeBatch> batches = new LinkedHashMap<>();
    plan()
        .forEach(
            (sample, newTokens) ->
                batches
                    .computeIfAbsent(sample.policy(), _ -> new DecodeBatch(settings))
                    .add(sample, newTokens));
    List<SampledResponse> finished = new ArrayList<>();
    batches.forEach((policy, batch) -> run(policy, batch, finished));
    return finished;
  }

  /** Moves waiting responses to the batch in order of arrival, as long as there are free pages. */
  private void start() {
    if (waiting.isEmpty() || running.size() == settings.maxRunning()) {
      return;
    }
    int unclaimed = pool.available() + prefixes.evictable();
    for (Sample sample : running) {
      unclaimed -= missingPages(sample);
    }
    for (Sample sample : List.copyOf(waiting)) {
      if (running.size() == settings.maxRunning()) {
        return;
      }
      boolean begins = sample.policy() == null;
      Policy policy = begins ? next(sample) : sample.policy();
      if (begins && sample.prompt().isComing(policy)) {
        continue;
      }
      int shared =
          begins && sample.prompt().isReady(policy)
              ? (sample.request().prompt().length - 1) / settings.pageTokens()
              : 0;
      unclaimed -= settings.pagesFor(sample.length() + 1) - shared;
      if (unclaimed < 0 && !running.isEmpty()) {
        return;
      }
      waiting.remove(sample);
      running.add(sample);
      if (begins) {
        begin(sample, policy);
      }
    }
  }

  /** The policy of a response that has not started. */
  private Policy next(Sample sample) {
    Policy bound = sample.binding().policy();
    return bound == null ? current : bound;
  }

  private void begin(Sample sample, Policy policy) {
    Binding binding = sample.binding();
    if (!settings.onePolicyEach()) {
      started.merge(policy, 1, Integer::sum);
    } else if (binding.policy() == null) {
      started.merge(policy, binding.bind(policy), Integer::sum);
    }
    binding.settle();
    sample.start(policy);
    if (sample.cached() == 0 && policy.equals(current)) {
      PageList found = prefixes.find(sample.request().prompt());
      reusedTokens += (long) found.count() * settings.pageTokens();
      sample.startFrom(found, found.count() * settings.pageTokens());
      found.release();
    }
  }

  /** Number of free pages that a response needs for its next token. */
  private int missingPages(Sample sample) {
    return Math.max(0, settings.pagesFor(sample.length() + 1) - sample.pages().count());
  }

  /** Number of new tokens to compute for each response in this step, oldest response first. */
  private Map<Sample, Integer> plan() {
    Map<Sample, Integer> plan = new LinkedHashMap<>();
    // A running response needs one token. Prompts share the rest of the budget.
    int budget = settings.maxStepTokens();
    for (Sample sample : running) {
      budget -= sample.length() - sample.cached() == 1 ? 1 : 0;
    }
    for (Sample sample = first(); sample != null; sample = running.higher(sample)) {
      int missing = sample.length() - sample.cached();
      int newTokens = missing == 1 ? 1 : Math.min(missing, budget);
      if (newTokens > 0 && reserve(sample, newTokens)) {
        plan.put(sample, newTokens);
        budget -= missing == 1 ? 0 : newTokens;
      }
    }
    return plan;
  }

  private Sample first() {
    return running.isEmpty() ? null : running.first();
  }

  /**
   * Provides pages of its own for the next tokens of a response.
   *
   * @return false if the response lost its place in the batch instead
   */
  private boolean reserve(Sample sample, int newTokens) {
    PageList pages = sample.pages();
    int firstWritten = sample.cached() / settings.pageTokens();
    while (firstWritten < pages.count() && pool.isShared(pages.get(firstWritten))) {
      if (pool.available() > 0) {
        int source = pages.get(firstWritten);
        cache.copyPage(pages.replace(firstWritten), source);
      } else if (!reclaim(sample)) {
        return false;
      }
    }
    int wanted = settings.pagesFor(sample.cached() + newTokens);
    while (pages.count() < wanted) {
      if (pool.available() > 0) {
        pages.grow();
      } else if (!reclaim(sample)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Frees pages for a response. Cached pages of prompts go first, then those of the newest running
   * response.
   *
   * @return false if that was the response itself
   */
  private boolean reclaim(Sample wanting) {
    if (prefixes.evict()) {
      return true;
    }
    for (Sample sample : waiting) {
      if (sample.prompt().drop()) {
        return true;
      }
    }
    Sample newest = running.last();
    if (running.size() == 1) {
      throw new IllegalStateException(
          "one response alone does not fit the KV cache of " + settings.pages() + " pages");
    }
    newest.interrupt();
    running.remove(newest);
    waiting.add(newest);
    preemptions++;
    return !newest.equals(wanting);
  }

  private void run(Policy policy, DecodeBatch batch, List<SampledResponse> finished) {
    for (Sample sample : batch.decode(policy.model(), cache)) {
      listener.sampled(sample.request(), sample.index(), sample.lastToken());
      if (sample.isFinished()) {
        finished.add(sample.response());
        finish(sample);
      }
    }
  }

  private void finish(Sample sample) {
    if (sample.policy().equals(current)) {
      prefixes.add(sample.tokens(), sample.cached(), sample.pages());
    }
    sample.pages().release();
    running.remove(sample);
    ended(sample.policy());
  }

  private void ended(Policy policy) {
    started.merge(policy, -1, Integer::sum);
    closeIfDone(policy);
  }

  private void closeIfDone(Policy policy) {
    if (!policy.equals(current) && started.get(policy) == 0) {
      started.remove(policy);
      policy.close();
    }
  }

  @Override
  public void close() {
    cache.close();
    started.keySet().forEach(Policy::close);
    started.clear();
  }
}
