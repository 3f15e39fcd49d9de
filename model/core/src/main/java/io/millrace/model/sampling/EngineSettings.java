package io.millrace.model.sampling;

import io.millrace.model.llama.LlamaConfig;

/**
 * How much a {@link SamplingEngine} does at once, and with how much memory.
 *
 * @param maxRunning responses sampled together at most
 * @param maxWaiting responses that may wait to be started
 * @param maxStepTokens tokens of one step at most, one of each running response and parts of new
 *     prompts
 * @param pages of the KV cache
 * @param pageTokens tokens of a page
 */
public record EngineSettings(
    int maxRunning, int maxWaiting, int maxStepTokens, int pages, int pageTokens) {

  /** Small enough to waste little at a sequence's end, large enough to read in one go. */
  private static final int PAGE_TOKENS = 16;

  /** Prompt tokens beside the running responses' own: large enough for matrix products. */
  private static final int STEP_TOKENS = 128;

  public EngineSettings {
    atLeast("maxRunning", maxRunning, 1);
    atLeast("maxWaiting", maxWaiting, 1);
    atLeast("maxStepTokens", maxStepTokens, maxRunning);
    atLeast("pages", pages, 1);
    atLeast("pageTokens", pageTokens, 1);
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + " must be at least " + least + ", not " + value);
    }
  }

  /** Room for so many responses at their longest, prompts included. */
  public static EngineSettings of(int maxRunning, int longest) {
    int pages = (longest + PAGE_TOKENS - 1) / PAGE_TOKENS;
    return new EngineSettings(
        maxRunning,
        2 * maxRunning,
        maxRunning + STEP_TOKENS,
        Math.multiplyExact(maxRunning, pages),
        PAGE_TOKENS);
  }

  /** Bytes of the KV cache that a model needs. */
  public long cacheBytes(LlamaConfig model) {
    return (long) pages
        * pageTokens
        * model.layers()
        * model.kvHeads()
        * model.headDim()
        * 2
        * Float.BYTES;
  }

  int pagesFor(int tokens) {
    return (tokens + pageTokens - 1) / pageTokens;
  }
}
