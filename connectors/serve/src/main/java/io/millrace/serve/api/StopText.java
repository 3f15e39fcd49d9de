package io.millrace.serve.api;

import java.util.List;

/**
 * The text of a response up to the first stop sequence. Text that may be the begin of a stop
 * sequence is held back.
 */
public final class StopText {

  private final List<String> stops;
  private final StringBuilder held = new StringBuilder();
  private boolean stopped;

  public StopText(List<String> stops) {
    this.stops = stops;
  }

  /** Whether a stop sequence was found. */
  public boolean isStopped() {
    return stopped;
  }

  /**
   * Adds text.
   *
   * @return the text that is certain now
   */
  public String add(String text) {
    if (stopped || stops.isEmpty()) {
      return stopped ? "" : text;
    }
    held.append(text);
    int end = -1;
    for (String stop : stops) {
      int at = held.indexOf(stop);
      if (at >= 0 && (end < 0 || at < end)) {
        end = at;
      }
    }
    stopped = end >= 0;
    return take(stopped ? end : held.length() - prefixLength());
  }

  /** The rest, when no more text comes. */
  public String end() {
    return stopped ? "" : take(held.length());
  }

  private String take(int length) {
    String certain = held.substring(0, length);
    held.delete(0, length);
    return certain;
  }

  /** Length of the longest end of the text that begins a stop sequence. */
  private int prefixLength() {
    int longest = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, held.length()); length > longest; length--) {
        if (stop.startsWith(held.substring(held.length() - length))) {
          longest = length;
        }
      }
    }
    return longest;
  }
}
