package io.millrace.model.tensor;

/**
 * Keys and values of earlier tokens, in pages of equal size (Kwon et al., arXiv 2309.06180, section
 * 4.1). The backend chooses the memory layout. The caller decides which pages hold which sequence,
 * and may share pages among sequences; every call names the pages in {@link CachedSequences}.
 */
public interface KvCache extends AutoCloseable {

  /** Number of pages. A page holds the keys and values of its tokens for every layer. */
  int pages();

  /** Number of tokens that fit in a page. */
  int pageTokens();

  /** Copies page {@code source} to page {@code target}, in every layer. */
  void copyPage(int target, int source);

  @Override
  void close();
}
