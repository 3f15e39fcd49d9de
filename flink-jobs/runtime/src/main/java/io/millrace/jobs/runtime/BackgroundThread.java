package io.millrace.jobs.runtime;

import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.api.common.operators.MailboxExecutor;

/**
 * Trains beside Flink's mailbox, one piece of work after another, so that the task's thread goes on
 * taking records and answering barriers. Between two pieces the mailbox can {@linkplain #pause
 * pause} it: a Flink checkpoint waits for the piece that runs and for no other.
 *
 * <p>What the work touches belongs to this thread while it works, and to the mailbox between {@link
 * #pause} and {@link #resume}.
 */
final class BackgroundThread implements AutoCloseable {

  /** What is to be done, in pieces. */
  interface Work {
    /** Does the next piece; returns false, having done nothing, where there is none. */
    boolean advance() throws Exception;
  }

  /** What the mailbox does after each piece. */
  interface Aftermath {
    void run() throws Exception;
  }

  private final Work work;
  private final MailboxExecutor mailbox;
  private final Aftermath aftermath;
  private final Thread thread;

  /** Fair: who waits for a pause gets it before the next piece begins. */
  private final ReentrantLock working = new ReentrantLock(true);

  /** Wakes the thread; permits outlast a moment in which nobody waits. */
  private final Semaphore wakeUps = new Semaphore(0);

  private final AtomicLong wakes = new AtomicLong();

  /** How many wakes had been when there was nothing to do. */
  private volatile long idleAfter = -1;

  private volatile boolean closed;

  /**
   * Starts the thread.
   *
   * @param mailbox of the operator: runs the aftermath, and is given what the work throws
   * @param aftermath after each piece, and when there is nothing left to do
   */
  BackgroundThread(String name, Work work, MailboxExecutor mailbox, Aftermath aftermath) {
    this.work = work;
    this.mailbox = mailbox;
    this.aftermath = aftermath;
    this.thread = new Thread(this::run, name);
    thread.setContextClassLoader(Thread.currentThread().getContextClassLoader());
    thread.setDaemon(true);
    thread.start();
  }

  private void run() {
    try {
      while (!closed) {
        wakeUps.drainPermits();
        long seen = wakes.get();
        boolean worked;
        working.lockInterruptibly();
        try {
          worked = work.advance();
        } finally {
          working.unlock();
        }
        if (!worked) {
          idleAfter = seen;
        }
        mailbox.execute(aftermath::run, "training advanced");
        if (!worked) {
          wakeUps.acquire();
        }
      }
    } catch (InterruptedException | RejectedExecutionException e) {
      // The operator is closed, or its mailbox is.
    } catch (Throwable e) {
      if (!closed) {
        fail(e);
      }
    }
  }

  private void fail(Throwable cause) {
    try {
      mailbox.execute(
          () -> {
            throw cause instanceof Exception exception
                ? exception
                : new IllegalStateException(cause);
          },
          "training failed");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }

  /** There may be work again. Called by the mailbox, with or without a pause. */
  void wake() {
    wakes.incrementAndGet();
    wakeUps.release();
  }

  /** Waits for the piece that runs, and keeps the next from beginning. */
  void pause() throws InterruptedException {
    if (!working.isHeldByCurrentThread()) {
      working.lockInterruptibly();
    }
  }

  /** Ends a pause, if there is one. */
  void resume() {
    if (working.isHeldByCurrentThread()) {
      working.unlock();
    }
  }

  /** Whether nothing is left to do. Called by the mailbox, which alone can bring new work. */
  boolean isIdle() {
    return idleAfter == wakes.get();
  }

  /** Waits for the piece that runs, then ends the thread: native memory is free to go. */
  @Override
  public void close() {
    closed = true;
    resume();
    thread.interrupt();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        // A cancelled task is interrupted; memory in use must not be freed all the same.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
