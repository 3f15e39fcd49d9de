package io.millrace.model.tensor;

/**
 * Keys and values of tokens already seen, in pages of equal size (Kwon et al., arXiv 2309.06180,
 * section 4.1). Which pages hold which sequence is the caller's business, so that sequences may
 * share them; {@link CachedSequences} says it call by call. A backend makes a cache and keeps it in
 * a layout of its own.
 */
public interface KvCache extends AutoCloseable {

  /** Pages there are, counted over all layers at once: a page holds its tokens of every layer. */
  int pages();

  /** Tokens that fit in a page. */
  int pageTokens();

  /** Overwrites all of a page, in every layer, with what another holds. */
  void copyPage(int target, int source);

  @Override
  void close();
}
