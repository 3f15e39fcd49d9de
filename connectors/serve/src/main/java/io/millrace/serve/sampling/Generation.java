package io.millrace.serve.sampling;

import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SampledToken;
import io.millrace.model.sampling.SamplingRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** The responses to one prompt while they are sampled. One thread samples, another one reads. */
public final class Generation {

  private final Lane lane;
  private final SamplingRequest request;
  private final boolean byToken;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition news = lock.newCondition();
  private final List<List<SampledToken>> tokens = new ArrayList<>();
  private final List<Integer> read = new ArrayList<>();
  private final SampledResponse[] responses;
  private final boolean[] cancelled;
  private final boolean[] reported;
  private long version = -1;
  private boolean changed;
  private Throwable failure;

  Generation(Lane lane, SamplingRequest request, boolean byToken) {
    this.lane = lane;
    this.request = request;
    this.byToken = byToken;
    this.responses = new SampledResponse[request.samples()];
    this.cancelled = new boolean[request.samples()];
    this.reported = new boolean[request.samples()];
    for (int i = 0; i < request.samples(); i++) {
      tokens.add(new ArrayList<>());
      read.add(0);
    }
  }

  /**
   * What came since the last call.
   *
   * @param sample index of the response
   * @param tokens its new tokens
   * @param response the whole response if it has ended, else null
   */
  public record News(int sample, List<SampledToken> tokens, SampledResponse response) {}

  /**
   * Waits for tokens, or without streaming for whole responses.
   *
   * @return the news of some responses; empty when the time is over
   * @throws IllegalStateException if sampling failed
   */
  public List<News> await(long nanos) throws InterruptedException {
    lock.lock();
    try {
      long left = nanos;
      while (!changed && failure == null) {
        if (left <= 0) {
          return List.of();
        }
        left = news.awaitNanos(left);
      }
      if (failure != null) {
        throw new IllegalStateException("sampling failed: " + failure.getMessage(), failure);
      }
      changed = false;
      List<News> all = new ArrayList<>();
      for (int i = 0; i < responses.length; i++) {
        List<SampledToken> of = tokens.get(i);
        int from = read.get(i);
        boolean ended = responses[i] != null && !reported[i];
        if (ended || (byToken && from < of.size())) {
          reported[i] |= ended;
          all.add(new News(i, List.copyOf(of.subList(from, of.size())), responses[i]));
          read.set(i, of.size());
        }
      }
      return all;
    } finally {
      lock.unlock();
    }
  }

  /** The version that samples all responses; −1 before the first token. */
  public long version() {
    lock.lock();
    try {
      return version;
    } finally {
      lock.unlock();
    }
  }

  /** Ends a response early, such as at a stop sequence. */
  public void cancel(int sample) {
    lane.cancel(this, sample);
  }

  /** Ends all responses that are not finished. */
  public void cancel() {
    for (int i = 0; i < responses.length; i++) {
      cancel(i);
    }
  }

  SamplingRequest request() {
    return request;
  }

  /** A token was sampled. */
  void add(int sample, SampledToken token) {
    lock.lock();
    try {
      version = token.policyVersion();
      tokens.get(sample).add(token);
      if (byToken) {
        changed = true;
        news.signal();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * A response has ended.
   *
   * @return whether no other response is unfinished
   */
  boolean end(SampledResponse response) {
    lock.lock();
    try {
      responses[response.sample()] = response;
      changed = true;
      news.signal();
      return isOver();
    } finally {
      lock.unlock();
    }
  }

  /**
   * A response was cancelled.
   *
   * @return whether no other response is unfinished
   */
  boolean cancelled(int sample) {
    lock.lock();
    try {
      cancelled[sample] = true;
      return isOver();
    } finally {
      lock.unlock();
    }
  }

  private boolean isOver() {
    for (int i = 0; i < responses.length; i++) {
      if (responses[i] == null && !cancelled[i]) {
        return false;
      }
    }
    return true;
  }

  /** Number of responses that have neither ended nor been cancelled. */
  int unfinished() {
    lock.lock();
    try {
      int count = 0;
      for (int i = 0; i < responses.length; i++) {
        count += responses[i] == null && !cancelled[i] ? 1 : 0;
      }
      return count;
    } finally {
      lock.unlock();
    }
  }

  void fail(Throwable cause) {
    lock.lock();
    try {
      failure = cause;
      news.signal();
    } finally {
      lock.unlock();
    }
  }
}
