package io.millrace.model.sampling;

/**
 * The cache pages of a request's prompt, shared by its responses. The first response computes the
 * prompt. The pages are kept until the last response of the request has started. Every response
 * computes the last token of the prompt again, because sampling continues from its hidden state.
 */
final class PromptCache {

  private final PageList pages;
  private int notStarted;
  private Sample computing;
  private Policy policy;

  PromptCache(PagePool pool, int samples) {
    this.pages = new PageList(pool);
    this.notStarted = samples;
  }

  /** Whether the cache holds the prompt, computed with the given policy. */
  boolean isReady(Policy wanted) {
    return wanted.equals(policy);
  }

  /** Whether a running response is computing the prompt with the given policy. */
  boolean isComing(Policy wanted) {
    return computing != null && wanted.equals(computing.policy());
  }

  /**
   * Starts a response. It shares the prompt's pages if they are ready; otherwise it computes them
   * for the other responses.
   */
  void start(Sample sample) {
    notStarted--;
    int shared = sample.request().prompt().length - 1;
    if (isReady(sample.policy())) {
      sample.startFrom(pages, shared);
    } else if (shared > 0) {
      computing = sample;
    }
    if (notStarted == 0) {
      computing = null;
      drop();
    }
  }

  /**
   * Reports progress of a response. Once the response that computes the prompt has computed all of
   * it, this cache shares its pages.
   *
   * @param pagesOfPrompt number of pages that hold the prompt without its last token
   */
  void progress(Sample sample, int pagesOfPrompt) {
    if (sample.equals(computing) && sample.cached() >= sample.request().prompt().length) {
      computing = null;
      pages.release();
      pages.share(sample.pages(), pagesOfPrompt);
      policy = sample.policy();
    }
  }

  /** Reports that a response will not start. */
  void abandoned() {
    notStarted--;
    if (notStarted == 0) {
      drop();
    }
  }

  /** Reports that a response lost its pages. Another response then computes the prompt. */
  void interrupted(Sample sample) {
    if (sample.equals(computing)) {
      computing = null;
    }
  }

  /** Releases the pages; returns whether there were any. */
  boolean drop() {
    boolean had = pages.count() > 0;
    pages.release();
    policy = null;
    return had;
  }
}
