package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Sequences;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * Samples responses with continuous batching (Yu et al., "Orca", OSDI 2022, section 3): every step
 * advances all running responses by one token, and a finished one's place is taken at once. Prompts
 * of new ones are computed in the same steps, in parts. Keys and values live in pages (Kwon et al.,
 * arXiv 2309.06180): responses to one prompt share its pages and copy one when they write to it.
 *
 * <p>A response depends on the weights, its prompt, options and seed alone, whatever else runs
 * beside it: in its tokens and log-probs bit for bit on a backend whose kernels keep rows apart
 * ({@code cpu}), up to rounding on {@code nd4j}.
 *
 * <p>Where pages run out, the newest responses give theirs up and are computed again from their
 * tokens later; the oldest always goes on. Used by one thread, as its backend is.
 */
public final class SamplingEngine implements AutoCloseable {

  private final EngineSettings settings;
  private final PagePool pool;
  private final KvCache cache;
  private final TreeSet<Sample> waiting = new TreeSet<>();
  private final TreeSet<Sample> running = new TreeSet<>();

  /** Responses that a policy has started and not finished, current policy included. */
  private final Map<Policy, Integer> started = new LinkedHashMap<>();

  private Policy current;
  private long nextOrdinal;
  private long preemptions;

  /** Takes the policy over: it is closed with the engine, or when another has replaced it. */
  public SamplingEngine(Policy policy, EngineSettings settings) {
    this.settings = settings;
    this.current = policy;
    this.pool = new PagePool(settings.pages());
    this.cache = policy.model().kvCache(settings.pages(), settings.pageTokens());
    started.put(policy, 0);
  }

  /** An engine over a model that stays the caller's. */
  public SamplingEngine(LanguageModel model, EngineSettings settings) {
    this(Policy.borrowed(model), settings);
  }

  /**
   * Responses not started yet are sampled with another policy from now on; those under way end with
   * the one they began with, which is closed after the last of them. Two sets of weights are then
   * in memory for a while, and no place in the batch stays empty meanwhile; wait while {@link
   * #isChangingPolicy} so that there are never more.
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
          "policy version %d does not fit the engine: it has %s, the one before it %s"
              .formatted(next.version(), config, old));
    }
    Policy before = current;
    current = next;
    started.put(next, 0);
    closeIfDone(before);
  }

  /** Whether responses of an earlier policy are still under way. */
  public boolean isChangingPolicy() {
    return started.size() > 1;
  }

  /** Version of the policy that new responses are sampled with. */
  public long policyVersion() {
    return current.version();
  }

  /** Responses that have no place in the batch yet. */
  public int waiting() {
    return waiting.size();
  }

  /** Responses that the next step advances. */
  public int running() {
    return running.size();
  }

  public boolean isIdle() {
    return waiting.isEmpty() && running.isEmpty();
  }

  /** How often a response gave up its pages for an older one. */
  public long preemptions() {
    return preemptions;
  }

  /**
   * Takes a request in, unless too many responses wait already.
   *
   * @return whether it was taken
   * @throws IllegalArgumentException if it could never be served
   */
  public boolean offer(SamplingRequest request) {
    requireServable(request);
    if (waiting.size() + request.samples() > settings.maxWaiting()) {
      return false;
    }
    PromptCache prompt = new PromptCache(pool, request.samples());
    for (int i = 0; i < request.samples(); i++) {
      waiting.add(new Sample(nextOrdinal++, request, i, prompt, pool));
    }
    return true;
  }

  private void requireServable(SamplingRequest request) {
    LlamaConfig config = current.model().config();
    if (request.longest() > config.maxPositions()) {
      throw new IllegalArgumentException(
          "a prompt of %d tokens and a response of %d exceed the model's %d positions"
              .formatted(
                  request.prompt().length, request.options().maxTokens(), config.maxPositions()));
    }
    if (settings.pagesFor(request.longest()) > settings.pages()) {
      throw new IllegalArgumentException(
          "a prompt of %d tokens and a response of %d exceed the KV cache's %d pages of %d"
              .formatted(
                  request.prompt().length,
                  request.options().maxTokens(),
                  settings.pages(),
                  settings.pageTokens()));
    }
    if (request.samples() > settings.maxWaiting()) {
      throw new IllegalArgumentException(
          "%d responses to one prompt exceed maxWaiting, which is %d"
              .formatted(request.samples(), settings.maxWaiting()));
    }
    for (int token : request.prompt()) {
      if (token < 0 || token >= config.vocabSize()) {
        throw new IllegalArgumentException(
            "token %d of a prompt is not in the vocabulary of %d"
                .formatted(token, config.vocabSize()));
      }
    }
  }

  /** One response for each seed of each request, in order. */
  public List<SampledResponse> sampleAll(List<SamplingRequest> requests) {
    if (!isIdle()) {
      throw new IllegalStateException("the engine has other responses under way");
    }
    IdentityHashMap<SamplingRequest, Integer> first = new IdentityHashMap<>();
    int responses = 0;
    for (SamplingRequest request : requests) {
      if (first.put(request, responses) != null) {
        throw new IllegalArgumentException("a request occurs twice; give it two seeds instead");
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

  /** Advances what runs by one token, and starts what waits; returns what finished. */
  public List<SampledResponse> step() {
    start();
    Map<Policy, Batch> batches = new LinkedHashMap<>();
    plan()
        .forEach(
            (sample, newTokens) ->
                batches.computeIfAbsent(sample.policy(), _ -> new Batch()).add(sample, newTokens));
    List<SampledResponse> finished = new ArrayList<>();
    batches.forEach((policy, batch) -> run(policy, batch, finished));
    return finished;
  }

  /** Gives places to waiting responses, first come first served, while there are pages. */
  private void start() {
    if (waiting.isEmpty() || running.size() == settings.maxRunning()) {
      return;
    }
    int unclaimed = pool.available();
    for (Sample sample : running) {
      unclaimed -= missingPages(sample);
    }
    for (Sample sample : List.copyOf(waiting)) {
      if (running.size() == settings.maxRunning()) {
        return;
      }
      Policy policy = sample.policy() == null ? current : sample.policy();
      boolean begins = sample.policy() == null;
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
        started.merge(policy, 1, Integer::sum);
        sample.start(policy);
      }
    }
  }

  /** Pages that a response will take before its next token. */
  private int missingPages(Sample sample) {
    return Math.max(0, settings.pagesFor(sample.length() + 1) - sample.pages().count());
  }

  /** How many new tokens of which responses the next step computes, oldest first. */
  private Map<Sample, Integer> plan() {
    Map<Sample, Integer> plan = new LinkedHashMap<>();
    // Prompts share what the running responses' single tokens leave.
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

  /** Sees to it that a response's next tokens have pages of its own; false if it lost its place. */
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

  /** Frees pages for a response: those kept for waiting ones, then the newest's; false: its own. */
  private boolean reclaim(Sample wanting) {
    for (Sample sample : waiting) {
      if (sample.prompt().drop()) {
        return true;
      }
    }
    Sample newest = running.last();
    if (running.size() == 1) {
      throw new IllegalStateException("one response alone does not fit in the KV cache");
    }
    newest.interrupt();
    running.remove(newest);
    waiting.add(newest);
    preemptions++;
    return !newest.equals(wanting);
  }

  /** The new tokens of one policy's responses, packed. */
  private static final class Batch {
    private final List<Sample> samples = new ArrayList<>();
    private final List<Integer> lengths = new ArrayList<>();

    void add(Sample sample, int newTokens) {
      samples.add(sample);
      lengths.add(newTokens);
    }
  }

  private void run(Policy policy, Batch batch, List<SampledResponse> finished) {
    int count = batch.samples.size();
    Sequences packed =
        Sequences.ofLengths(batch.lengths.stream().mapToInt(Integer::intValue).toArray());
    int[] tokens = new int[packed.tokens()];
    int[] firstPositions = new int[count];
    int[][] pages = new int[count][];
    List<Sample> drawing = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Sample sample = batch.samples.get(i);
      firstPositions[i] = sample.cached();
      pages[i] = sample.pages().toArray();
      sample.copyTokens(sample.cached(), tokens, packed.start(i), packed.length(i));
      sample.advance(packed.length(i));
      sample.prompt().progress(sample, settings.pagesFor(sample.request().prompt().length - 1));
      if (sample.cached() == sample.length()) {
        drawing.add(sample);
      }
    }
    int[] rows = new int[drawing.size()];
    int drawn = 0;
    for (int i = 0; i < count; i++) {
      if (batch.samples.get(i).cached() == batch.samples.get(i).length()) {
        rows[drawn++] = packed.start(i) + packed.length(i) - 1;
      }
    }
    LanguageModel.Drawn next =
        policy
            .model()
            .decode(
                tokens,
                new CachedSequences(packed, firstPositions, pages),
                cache,
                rows,
                draws(drawing));
    for (int i = 0; i < rows.length; i++) {
      Sample sample = drawing.get(i);
      sample.append(next.tokens()[i], next.logProbs()[i]);
      if (sample.isFinished()) {
        finished.add(sample.response());
        finish(sample);
      }
    }
  }

  private static Draws draws(List<Sample> samples) {
    float[] temperatures = new float[samples.size()];
    float[] topPs = new float[samples.size()];
    double[] uniforms = new double[samples.size()];
    for (int i = 0; i < uniforms.length; i++) {
      temperatures[i] = samples.get(i).temperature();
      topPs[i] = samples.get(i).request().options().topP();
      uniforms[i] = samples.get(i).nextUniform();
    }
    return new Draws(temperatures, topPs, uniforms);
  }

  private void finish(Sample sample) {
    sample.pages().release();
    running.remove(sample);
    started.merge(sample.policy(), -1, Integer::sum);
    closeIfDone(sample.policy());
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
