package io.millrace.model.sampling;

import java.util.Arrays;
import java.util.SplittableRandom;

/** A response in the making: a sequence of prompt and response tokens, and where it is cached. */
final class Sample implements Comparable<Sample> {

  private final long ordinal;
  private final SamplingRequest request;
  private final int index;
  private final PromptCache prompt;
  private final PageList pages;
  private final SplittableRandom random;
  private final float[] logProbs;
  private int[] tokens;
  private int length;
  private int cached;
  private Policy policy;
  private boolean stopped;

  Sample(long ordinal, SamplingRequest request, int index, PromptCache prompt, PagePool pool) {
    this.ordinal = ordinal;
    this.request = request;
    this.index = index;
    this.prompt = prompt;
    this.pages = new PageList(pool);
    this.random = new SplittableRandom(request.seeds()[index]);
    this.logProbs = new float[request.options().maxTokens()];
    this.tokens = request.prompt();
    this.length = tokens.length;
  }

  SamplingRequest request() {
    return request;
  }

  float temperature() {
    return request.temperature(index);
  }

  PromptCache prompt() {
    return prompt;
  }

  PageList pages() {
    return pages;
  }

  /** Tokens known so far. */
  int length() {
    return length;
  }

  /** How many of them the cache holds. */
  int cached() {
    return cached;
  }

  /** The policy that samples all of it; null before it started. */
  Policy policy() {
    return policy;
  }

  void start(Policy policy) {
    this.policy = policy;
    prompt.start(this);
  }

  /** Shares pages that hold the first tokens. */
  void startFrom(PageList shared, int cachedTokens) {
    pages.share(shared, shared.count());
    cached = cachedTokens;
  }

  /** Gives its pages up, to be computed again from its tokens. */
  void interrupt() {
    prompt.interrupted(this);
    pages.release();
    cached = 0;
  }

  void copyTokens(int from, int[] target, int at, int count) {
    System.arraycopy(tokens, from, target, at, count);
  }

  void advance(int newTokens) {
    cached += newTokens;
  }

  double nextUniform() {
    return random.nextDouble();
  }

  void append(int token, float logProb) {
    int prompt = request.prompt().length;
    if (length == tokens.length) {
      // The first copy parts it from the request's own array.
      tokens = Arrays.copyOf(tokens, Math.min(request.longest(), Math.max(2 * length, 16)));
    }
    logProbs[length - prompt] = logProb;
    tokens[length++] = token;
    stopped = request.options().stopsAt(token);
  }

  boolean isFinished() {
    return stopped || length == request.longest();
  }

  SampledResponse response() {
    int prompt = request.prompt().length;
    return new SampledResponse(
        request,
        index,
        policy.version(),
        Arrays.copyOfRange(tokens, prompt, length),
        Arrays.copyOf(logProbs, length - prompt),
        stopped);
  }

  @Override
  public int compareTo(Sample other) {
    return Long.compare(ordinal, other.ordinal);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Sample sample && sample.ordinal == ordinal;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(ordinal);
  }
}
