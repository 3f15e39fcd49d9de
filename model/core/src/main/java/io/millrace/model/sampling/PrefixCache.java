package io.millrace.model.sampling;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Map;

/**
 * Pages with keys and values of earlier sequences of one policy. A later request whose prompt
 * begins with the same tokens, such as the next turn of a dialogue, continues from them. Only whole
 * pages are kept. When the pool has no free page, the least recently used pages are freed first.
 */
final class PrefixCache {

  private final PagePool pool;
  private final int pageTokens;
  private final boolean enabled;
  private final Map<Block, Node> first = new HashMap<>();

  /** All nodes. Every use moves a node behind its descendants, so the first one is a leaf. */
  private final LinkedHashSet<Node> leastRecent = new LinkedHashSet<>();

  /** The tokens of a page. */
  private record Block(int[] tokens) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Block block && Arrays.equals(tokens, block.tokens);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(tokens);
    }
  }

  /** A page, and the pages that were seen after it. */
  private static final class Node {
    final Map<Block, Node> siblings;
    final Block block;
    final int page;
    final Map<Block, Node> next = new HashMap<>();

    Node(Map<Block, Node> siblings, Block block, int page) {
      this.siblings = siblings;
      this.block = block;
      this.page = page;
    }
  }

  PrefixCache(PagePool pool, int pageTokens, boolean enabled) {
    this.pool = pool;
    this.pageTokens = pageTokens;
    this.enabled = enabled;
  }

  /**
   * The pages that hold the first tokens of a prompt, without the page of its last token: sampling
   * continues from the hidden state of that token.
   */
  PageList find(int[] prompt) {
    PageList found = new PageList(pool);
    if (enabled) {
      use(first, prompt, 0, (prompt.length - 1) / pageTokens, found);
    }
    return found;
  }

  /** Touches the path of a prompt, the deepest page first. */
  private void use(Map<Block, Node> level, int[] prompt, int depth, int most, PageList found) {
    Node node = depth == most ? null : level.get(block(prompt, depth));
    if (node != null) {
      found.share(node.page);
      use(node.next, prompt, depth + 1, most, found);
      leastRecent.addLast(node);
    }
  }

  /** Keeps the whole pages of a sequence. */
  void add(int[] tokens, int cached, PageList pages) {
    if (enabled) {
      add(first, tokens, 0, cached / pageTokens, pages);
    }
  }

  private void add(Map<Block, Node> level, int[] tokens, int depth, int most, PageList pages) {
    if (depth == most) {
      return;
    }
    Block block = block(tokens, depth);
    Node node = level.get(block);
    if (node == null) {
      node = new Node(level, block, pages.get(depth));
      pool.share(node.page);
      level.put(block, node);
    }
    add(node.next, tokens, depth + 1, most, pages);
    leastRecent.addLast(node);
  }

  private Block block(int[] tokens, int depth) {
    return new Block(Arrays.copyOfRange(tokens, depth * pageTokens, (depth + 1) * pageTokens));
  }

  /** Number of pages that {@link #evict} can free. */
  int evictable() {
    int count = 0;
    for (Node node : leastRecent) {
      count += pool.isShared(node.page) ? 0 : 1;
    }
    return count;
  }

  /** Frees the least recently used page that no sequence uses; returns whether there was one. */
  boolean evict() {
    for (Iterator<Node> nodes = leastRecent.iterator(); nodes.hasNext(); ) {
      Node node = nodes.next();
      if (node.next.isEmpty() && !pool.isShared(node.page)) {
        nodes.remove();
        node.siblings.remove(node.block);
        pool.release(node.page);
        return true;
      }
    }
    return false;
  }

  /** Forgets all pages, whose keys and values are those of an earlier policy now. */
  void clear() {
    leastRecent.forEach(node -> pool.release(node.page));
    leastRecent.clear();
    first.clear();
  }
}
