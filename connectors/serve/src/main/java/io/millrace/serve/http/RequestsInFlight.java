package io.millrace.serve.http;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Counts the requests in flight, so that a server can end them before it stops. */
public final class RequestsInFlight {

  private static final Logger LOG = LoggerFactory.getLogger(RequestsInFlight.class);

  private final AtomicInteger count = new AtomicInteger();
  private volatile boolean stopping;

  public void begin() {
    count.incrementAndGet();
  }

  public void end() {
    count.decrementAndGet();
  }

  /** Whether the server is about to stop. */
  public boolean isStopping() {
    return stopping;
  }

  /**
   * Waits for the requests in flight, and logs how many did not end.
   *
   * @param most time to wait
   */
  public void drain(Duration most) {
    stopping = true;
    long end = System.nanoTime() + most.toNanos();
    try {
      while (count.get() > 0 && System.nanoTime() < end) {
        Thread.sleep(10);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (count.get() > 0) {
      LOG.warn("{} requests did not end within {}", count.get(), most);
    }
  }
}
