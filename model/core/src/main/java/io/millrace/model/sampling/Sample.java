package io.millrace.model.sampling;

import java.util.Arrays;
import java.util.SplittableRandom;

/** A response that is being sampled: its tokens so far, and its pages of the KV cache. */
final class Sample implements Comparable<Sample> {

  private final long ordinal;
  private final SamplingRequest request;
  private final int index;
  private final PromptCache prompt;
  private final Binding binding;
  private final PageList pages;
  private final int ranks;
  private final SplittableRandom random;
  private final float[] logProbs;
  private int[] tokens;
  private int length;
  private int cached;
  private Policy policy;
  private boolean stopped;
  private SampledToken last;

  Sample(
      long ordinal,
      SamplingRequest request,
      int index,
      int ranks,
      PromptCache prompt,
      Binding binding,
      PagePool pool) {
    this.ordinal = ordinal;
    this.request = request;
    this.index = index;
    this.ranks = ranks;
    this.prompt = prompt;
    this.binding = binding;
    this.pages = new PageList(pool);
    this.random = new SplittableRandom(request.seeds()[index]);
    this.logProbs = new float[request.options().maxTokens()];
    this.tokens = request.prompt();
    this.length = tokens.length;
  }

  SamplingRequest request() {
    return request;
  }

  /** Index among the responses of the request. */
  int index() {
    return index;
  }

  /** The token of the last step. */
  SampledToken lastToken() {
    return last;
  }

  /** Number of most probable tokens that are reported in each step. */
  int ranks() {
    return ranks;
  }

  float temperature() {
    return request.temperature(index);
  }

  PromptCache prompt() {
    return prompt;
  }

  /** The responses that are of the same policy. */
  Binding binding() {
    return binding;
  }

  PageList pages() {
    return pages;
  }

  /** Number of tokens so far, those of the prompt included. */
  int length() {
    return length;
  }

  /** Number of tokens whose keys and values the cache holds. */
  int cached() {
    return cached;
  }

  /** The policy that samples the whole response; null before the start. */
  Policy policy() {
    return policy;
  }

  void start(Policy policy) {
    this.policy = policy;
    prompt.start(this);
  }

  /** Shares the pages that hold the first tokens of the prompt. */
  void startFrom(PageList shared, int cachedTokens) {
    pages.share(shared, shared.count());
    cached = cachedTokens;
  }

  /** The tokens so far, those of the prompt included; not a copy. */
  int[] tokens() {
    return tokens;
  }

  /** Releases the pages. Their content is computed again from the tokens later. */
  void interrupt() {
    prompt.interrupted(this);
    pages.release();
    cached = 0;
  }

  void copyTokens(int from, int[] target, int at, int count) {
    System.arraycopy(tokens, from, target, at, count);
  }

  /** Records that the cache holds more tokens. */
  void advance(int newTokens) {
    cached += newTokens;
  }

  /** The next number of the random stream of this response, uniform in [0, 1). */
  double nextUniform() {
    return random.nextDouble();
  }

  /** Appends a sampled token. */
  void append(SampledToken sampled) {
    last = sampled;
    int token = sampled.id();
    int prompt = request.prompt().length;
    if (length == tokens.length) {
      // The first copy also separates the tokens from the array of the request.
      tokens = Arrays.copyOf(tokens, Math.min(request.longest(), Math.max(2 * length, 16)));
    }
    logProbs[length - prompt] = sampled.logProb();
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
