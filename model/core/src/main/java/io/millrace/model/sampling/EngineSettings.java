package io.millrace.model.sampling;

import io.millrace.model.llama.LlamaConfig;

/**
 * Limits of a {@link SamplingEngine}.
 *
 * @param maxRunning maximum responses sampled at the same time
 * @param maxWaiting maximum responses in the queue
 * @param maxStepTokens maximum tokens of a step: one for each running response, and parts of new
 *     prompts; at least maxRunning
 * @param pages pages of the KV cache
 * @param pageTokens tokens of a page
 * @param prefixCache whether the pages of finished sequences are kept for prompts that begin with
 *     the same tokens
 * @param onePolicyEach whether all responses of a request are of one policy, although another one
 *     comes before the last of them starts
 */
public record EngineSettings(
    int maxRunning,
    int maxWaiting,
    int maxStepTokens,
    int pages,
    int pageTokens,
    boolean prefixCache,
    boolean onePolicyEach) {

  /** Small enough to waste little memory at the end of a sequence, large enough for long reads. */
  private static final int PAGE_TOKENS = 16;

  /**
   * Prompt tokens of a step, beside the running responses' own tokens. Large enough for efficient
   * matrix products.
   */
  private static final int STEP_TOKENS = 128;

  public EngineSettings {
    atLeast("maxRunning", maxRunning, 1);
    atLeast("maxWaiting", maxWaiting, 1);
    atLeast("maxStepTokens", maxStepTokens, maxRunning);
    atLeast("pages", pages, 1);
    atLeast("pageTokens", pageTokens, 1);
  }

  /** Settings without a prefix cache, and with each response of the newest policy. */
  public EngineSettings(
      int maxRunning, int maxWaiting, int maxStepTokens, int pages, int pageTokens) {
    this(maxRunning, maxWaiting, maxStepTokens, pages, pageTokens, false, false);
  }

  /** The same limits for a server: with a prefix cache, and with one policy for each request. */
  public EngineSettings forServing(int waiting) {
    return new EngineSettings(maxRunning, waiting, maxStepTokens, pages, pageTokens, true, true);
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + " must be at least " + least + ", not " + value);
    }
  }

  /**
   * Settings with cache memory for {@code maxRunning} responses at full length.
   *
   * @param maxRunning maximum responses sampled at the same time
   * @param longest maximum tokens of a prompt and its response together
   */
  public static EngineSettings of(int maxRunning, int longest) {
    int pages = (longest + PAGE_TOKENS - 1) / PAGE_TOKENS;
    return new EngineSettings(
        maxRunning,
        2 * maxRunning,
        maxRunning + STEP_TOKENS,
        Math.multiplyExact(maxRunning, pages),
        PAGE_TOKENS);
  }

  /** Memory of the KV cache in bytes, for a given model. */
  public long cacheBytes(LlamaConfig model) {
    return (long) pages
        * pageTokens
        * model.layers()
        * model.kvHeads()
        * model.headDim()
        * 2
        * Float.BYTES;
  }

  /** Number of pages that hold some tokens of a sequence. */
  int pagesFor(int tokens) {
    return (tokens + pageTokens - 1) / pageTokens;
  }

  /** Checks that some state of an engine with these settings could serve a request. */
  void requireServable(SamplingRequest request, LlamaConfig config) {
    if (request.longest() > config.maxPositions()) {
      throw new IllegalArgumentException(
          ("a prompt of %d tokens and a response of up to %d exceed the model's %d positions;"
                  + " shorten the prompt or lower maxTokens")
              .formatted(
                  request.prompt().length, request.options().maxTokens(), config.maxPositions()));
    }
    if (pagesFor(request.longest()) > pages) {
      throw new IllegalArgumentException(
          ("a prompt of %d tokens and a response of up to %d exceed the KV cache's %d pages of %d"
                  + " tokens; give the cache more pages")
              .formatted(
                  request.prompt().length, request.options().maxTokens(), pages, pageTokens));
    }
    if (request.samples() > maxWaiting) {
      throw new IllegalArgumentException(
          "%d responses to one prompt exceed maxWaiting, which is %d; ask for fewer or raise it"
              .formatted(request.samples(), maxWaiting));
    }
    for (int token : request.prompt()) {
      if (token < 0 || token >= config.vocabSize()) {
        throw new IllegalArgumentException(
            "token id %d of a prompt is not in the vocabulary of %d tokens"
                .formatted(token, config.vocabSize()));
      }
    }
  }
}
