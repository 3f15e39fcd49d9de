package io.millrace.model.sampling;

/**
 * The pages of one request's prompt, computed by the first of its responses and kept until the last
 * has started. Every response computes the prompt's last token again, since it starts from there.
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

  /** Whether it holds the prompt as this policy sees it. */
  boolean isReady(Policy wanted) {
    return wanted.equals(policy);
  }

  /** Whether a response that is under way will make it ready for this policy. */
  boolean isComing(Policy wanted) {
    return computing != null && wanted.equals(computing.policy());
  }

  /** A response starts, from these pages where they are ready, or computing them for the others. */
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

  /** Keeps the prompt's pages when the response that computes them has them all. */
  void progress(Sample sample, int pagesOfPrompt) {
    if (sample.equals(computing) && sample.cached() >= sample.request().prompt().length) {
      computing = null;
      pages.release();
      pages.share(sample.pages(), pagesOfPrompt);
      policy = sample.policy();
    }
  }

  /** The response lost its pages; another will have to compute them. */
  void interrupted(Sample sample) {
    if (sample.equals(computing)) {
      computing = null;
    }
  }

  /** Gives the pages up; says whether there were any. */
  boolean drop() {
    boolean had = pages.count() > 0;
    pages.release();
    policy = null;
    return had;
  }
}
