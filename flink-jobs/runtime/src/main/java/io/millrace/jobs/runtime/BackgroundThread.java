package io.millrace.jobs.runtime;

import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.api.common.operators.MailboxExecutor;

/**
 * Works beside Flink's mailbox, one piece after another, while the task thread takes records and
 * answers barriers. Between two pieces the mailbox can {@linkplain #pause pause} the thread: a
 * Flink checkpoint waits for at most one piece.
 *
 * <p>The objects that the work changes belong to this thread while it works, and to the mailbox
 * between {@link #pause} and {@link #resume}.
 */
final class BackgroundThread implements AutoCloseable {

  /** The work, in pieces. */
  interface Work {
    /** Does the next piece; returns false if there was nothing to do. */
    boolean next() throws Exception;
  }

  /** What the mailbox does after each piece. */
  interface Aftermath {
    void run() throws Exception;
  }

  private final Work work;
  private final MailboxExecutor mailbox;
  private final Aftermath aftermath;
  private final Thread thread;

  /** Fair: a waiting pause gets the lock before the next piece begins. */
  private final ReentrantLock working = new ReentrantLock(true);

  /** Wakes the thread; permits outlast a moment in which nobody waits. */
  private final Semaphore wakeUps = new Semaphore(0);

  private final AtomicLong wakes = new AtomicLong();

  /** The number of wakes when the thread last found nothing to do. */
  private volatile long idleAfter = -1;

  private volatile boolean closed;

  /**
   * Starts the thread.
   *
   * @param mailbox of the operator: it runs the aftermath and rethrows the work's exceptions
   * @param aftermath runs after each piece, and when there is nothing left to do
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
          worked = work.next();
        } finally {
          working.unlock();
        }
        if (!worked) {
          idleAfter = seen;
        }
        mailbox.execute(aftermath::run, "background work advanced");
        if (!worked) {
          wakeUps.acquire();
        }
      }
    } catch (Throwable e) {
      // A closed operator interrupts this thread, and a closed mailbox rejects its mail.
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
          "background work failed");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }

  /** Makes the thread look for work. Called by the mailbox, with or without a pause. */
  void wake() {
    wakes.incrementAndGet();
    wakeUps.release();
  }

  /** Waits for the running piece and holds back the next one. */
  void pause() throws InterruptedException {
    if (!working.isHeldByCurrentThread()) {
      working.lockInterruptibly();
    }
  }

  /** Whether the mailbox holds back the work. Only the mailbox calls this. */
  boolean isPaused() {
    return working.isHeldByCurrentThread();
  }

  /** Ends a pause, if there is one. */
  void resume() {
    if (working.isHeldByCurrentThread()) {
      working.unlock();
    }
  }

  /** Whether there is no work left. Only the mailbox calls this: it alone brings new work. */
  boolean isIdle() {
    return idleAfter == wakes.get();
  }

  /** Waits for the running piece, then ends the thread; native memory can be freed afterwards. */
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
        // Flink interrupts a cancelled task. Memory in use must still not be freed.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
